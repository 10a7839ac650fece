"""What came of an attack stands in the table whatever it is; a guard that nobody misses is no success."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from fleet.mutants import Edit, Mutant
from fleet.prove import Outcome, Row
from fleet.security import Attack, Result, __main__
from fleet.security.table import HEAD, NEVER, PLACE, line_of, start_of, updated

pytestmark = pytest.mark.unit

DAY = date(2026, 3, 2)
MUTANT = Mutant("a link is good once", "twice", (Edit("a.py", "x", "y"),), "test_a.py::test_a", "DID NOT RAISE")
LINKS = Attack(Row("links", "links used twice", ("test_a.py",)), (MUTANT,))
ROWS = Attack(Row("rows", "another's rows", ("test_b.py",)), (MUTANT, MUTANT))
BLANK = f"before\n{PLACE.begin}{PLACE.end}\nafter\n"
HELD = Outcome(3, (), {"replays": 40.0}, 90.0)


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (Result(HELD, 2), "| 40 replays, 3 tests | yes | 2 of 2 | 1.5 | 2026-03-02 |"),
        (Result(HELD, 2, ("x|y",)), "| 40 replays, 3 tests | yes | **1 of 2**, not: x/y | 1.5 | 2026-03-02 |"),
        (Result(HELD, 0), "| 40 replays, 3 tests | yes | **0 of 0**, not: any | 1.5 | 2026-03-02 |"),
        (Result(Outcome(2, ("test_z",)), 2), "| 3 tests | **no**: test_z | not made | 0.0 | 2026-03-02 |"),
        (Result(Outcome(), 2), "| 0 tests | **no**: no test ran | not made | 0.0 | 2026-03-02 |"),
    ],
)
def test_a_line_says_what_was_tried_what_held_and_which_mutant_nobody_noticed(result: Result, line: str) -> None:
    assert line_of(LINKS, result, DAY) == start_of(LINKS) + line
    assert result.ok == ("**" not in line)


def test_only_the_lines_of_what_was_made_are_replaced() -> None:
    page = updated(BLANK, (LINKS, ROWS), {"rows": line_of(ROWS, Result(HELD, 2), DAY)})
    assert f"{start_of(LINKS)}{NEVER}\n" in page
    again = updated(page, (LINKS, ROWS), {"links": line_of(LINKS, Result(HELD, 1), DAY)})
    assert again.count("| yes |") == 2
    assert again.startswith("before\n")
    assert again.endswith("after\n")
    assert {line.count("|") for line in [*HEAD.splitlines(), start_of(LINKS) + NEVER]} == {8}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "security.md"
    path.write_text(BLANK)
    monkeypatch.setattr(__main__, "PAGE", path)
    monkeypatch.setattr(__main__, "ATTACKS", (LINKS, ROWS))
    monkeypatch.setattr(__main__, "chosen", lambda word: tuple(one for one in (LINKS, ROWS) if word in ("", one.name)))
    monkeypatch.setattr(__main__, "prove", lambda _row: HELD)
    return path


def test_all_that_held_and_was_noticed_is_success(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "caught", lambda _mutant: None)
    assert __main__.main("") == 0
    assert "2 of 2 held" in capsys.readouterr().out
    assert page.read_text().count("| yes |") == 2


def test_a_mutant_that_nobody_notices_is_a_failure(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "caught", lambda _mutant: "test_a passed")
    assert __main__.main("links") == 1
    assert "**0 of 1**, not: a link is good once: twice" in page.read_text()


def test_no_mutant_is_made_of_what_does_not_hold(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "prove", lambda _row: Outcome(1, ("test_x",)))
    monkeypatch.setattr(__main__, "caught", lambda _mutant: pytest.fail("a mutant was made"))
    assert __main__.main("rows") == 1
    assert "**no**: test_x | not made" in page.read_text()


def test_an_attack_that_is_not_there_is_said(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main("nothing") == 2
    assert "links, rows" in capsys.readouterr().err
    assert page.read_text() == BLANK
