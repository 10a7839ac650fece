"""The rows of `make prove` are about tests that are there, in forms that these know, and the page has a line for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fleet.prove.rows import ROWS, chosen
from fleet.prove.table import BEGIN, END, NEVER, start_of

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TABLE = PAGE.partition(BEGIN)[2].partition(END)[0].splitlines()[2:]

# A number of tries with a default: what a long form sets. Seeds have none.
_LENGTH = re.compile(r'os\.environ\.get\("([A-Z_]+(?<!_SEED))", "[\d.]+"\)')


def sources() -> dict[Path, str]:
    folders = ("libs", "services", "dev", "tests")
    found = [path for top in folders for path in (ROOT / top).rglob("test_*.py") if "/.venv/" not in str(path)]
    return {
        path: path.read_text(encoding="utf-8") for path in [*found, *(ROOT / "dev/fleet/src/fleet/proofs").glob("*.py")]
    }


def test_what_a_row_runs_is_there() -> None:
    for row in ROWS:
        assert bool(row.tests) != bool(row.module), row.name
        for test in row.tests:
            assert (ROOT / test).exists(), test


def test_every_test_of_the_bus_is_in_a_row() -> None:
    run = {test for row in ROWS for test in row.tests}
    folder = ROOT / "libs/common/tests/bus"
    assert {path.relative_to(ROOT).as_posix() for path in folder.glob("test_*.py")} <= run


def test_every_long_form_is_in_a_row_and_every_rows_form_is_read() -> None:
    """By its own tests, or by what all proofs share."""
    read = {path: set(_LENGTH.findall(text)) for path, text in sources().items()}
    lengths = set().union(*read.values())
    assert lengths
    assert lengths == {name for row in ROWS if not row.containers for name in row.long_form}
    for row in ROWS:
        shared = set().union(*(names for path, names in read.items() if "proofs" in path.parts))
        own = set().union(*(read[ROOT / test] for test in row.tests if (ROOT / test) in read))
        assert row.containers or row.long_form.keys() <= own | shared, row.name


def test_names_are_names_of_groups_too() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert len(chosen("bus")) > 5
    assert [row.name for row in chosen("sip")] == ["sip"]
    assert chosen("") == list(ROWS)
    assert chosen("nothing") == []


def test_the_page_has_a_line_for_each_row_and_says_what_it_means() -> None:
    """In the form that the row has now: one that was run in another form is to be run again."""
    assert [line[: len(start_of(row))] for row, line in zip(ROWS, TABLE, strict=True)] == [
        start_of(row) for row in ROWS
    ]
    for row in ROWS:
        assert f"**{row.name}**" in PAGE.partition(END)[2], row.name


def test_a_result_has_its_day() -> None:
    for row, line in zip(ROWS, TABLE, strict=True):
        assert line.endswith(NEVER) or re.search(r"\| \d{4}-\d\d-\d\d \|$", line), row.name
