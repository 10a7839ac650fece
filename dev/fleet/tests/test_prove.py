"""What came of a row is what its tests say, and stands in the table whatever it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from fleet.prove import Outcome, Row, __main__, table
from fleet.prove.__main__ import main, of_command, of_report
from fleet.prove.table import BEGIN, END, line_of, updated

pytestmark = pytest.mark.integration

DAY = date(2026, 3, 2)
FIRST = Row("bus-kills", "nothing is lost", ("test_kills.py",), {"KILLS": "20"})
OTHER = Row("sip", "nothing is left", ("test_sip.py",))
PAGE = f"before\n\n{BEGIN}{END}\n\nafter\n"

REPORT = """<testsuites><testsuite>
<testcase name="test_a"><properties><property name="kills" value="20"/></properties></testcase>
<testcase name="test_b[1]"><properties><property name="kills" value="5"/>
  <property name="facts" value="1234"/></properties></testcase>
{more}
</testsuite></testsuites>"""


def test_a_report_says_what_passed_and_how_often_it_was_tried() -> None:
    outcome = of_report(REPORT.format(more=""), 0)
    assert (outcome.ok, outcome.passed, outcome.failed) == (True, 2, ())
    assert outcome.tried == {"kills": 25, "facts": 1234}


@pytest.mark.parametrize("kind", ["failure", "error", "skipped"])
def test_what_did_not_pass_has_failed_and_its_tries_do_not_count(kind: str) -> None:
    bad = f'<testcase name="test_c"><properties><property name="kills" value="7"/></properties><{kind}/></testcase>'
    outcome = of_report(REPORT.format(more=bad), 1)
    assert (outcome.ok, outcome.passed, outcome.failed) == (False, 2, ("test_c",))
    assert outcome.tried["kills"] == 25


@pytest.mark.parametrize(("xml", "status"), [("", 4), (REPORT.format(more=""), 3), ("<testsuites/>", 5)])
def test_a_run_that_broke_has_failed_whatever_its_report_says(xml: str, status: int) -> None:
    outcome = of_report(xml, status)
    assert not outcome.ok
    assert outcome.failed == (f"pytest ended with {status}",)


def test_no_test_at_all_is_a_failure() -> None:
    assert not of_report("<testsuites/>", 0).ok
    assert "**failed**: no test ran" in line_of(FIRST, of_report("<testsuites/>", 0), DAY)


def test_a_command_says_what_it_caught() -> None:
    assert of_command(0, "table\n35 of 35 caught\n") == Outcome(35, (), {"mutants": 35})
    assert of_command(1, "34 of 35 caught").failed == ("1 were not caught",)
    assert not of_command(1, "Traceback").ok
    assert not of_command(1, "35 of 35 caught").ok


def test_a_line_says_what_was_tried_and_what_came_of_it() -> None:
    good = Outcome(3, (), {"kills": 20.0, "facts": 12345.0}, 90.0)
    assert line_of(FIRST, good, DAY) == (
        "| `bus-kills` | nothing is lost | `KILLS=20` | 12,345 facts, 20 kills | 3 passed | 1.5 | 2026-03-02 |"
    )
    bad = Outcome(3, ("test_x[a|b]", "test_y"), {}, 90.0)
    assert "**failed**: test_x[a/b]; test_y (3 passed)" in line_of(FIRST, bad, DAY)
    assert "not run: no engine" in line_of(FIRST, Outcome(left_out="no engine"), DAY)


def test_only_the_lines_of_what_was_run_are_replaced() -> None:
    rows = (FIRST, OTHER)
    page = updated(PAGE, rows, {"sip": line_of(OTHER, Outcome(1, (), {}, 6.0), DAY)})
    assert "| `bus-kills` | nothing is lost | `KILLS=20` | – | not run yet | – | – |" in page
    again = updated(page, rows, {"bus-kills": line_of(FIRST, Outcome(2, (), {}, 60.0), date(2026, 3, 9))})
    assert "2 passed | 1.0 | 2026-03-09 |" in again
    assert "1 passed | 0.1 | 2026-03-02 |" in again
    assert again.startswith("before\n\n")
    assert again.endswith(f"{END}\n\nafter\n")
    assert updated(again, (OTHER,), {}).count("| `") == 1  # a row that is no more


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        updated("nothing", (FIRST,), {})


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rows and a page of the test's own."""
    path = tmp_path / "reliability.md"
    path.write_text(PAGE)
    monkeypatch.setattr(__main__, "PAGE", path)
    monkeypatch.setattr(__main__, "ROWS", (FIRST, OTHER))
    monkeypatch.setattr(__main__, "chosen", lambda word: [row for row in (FIRST, OTHER) if row.name.startswith(word)])
    return path


@pytest.mark.parametrize(("failing", "status"), [("", 0), ("bus-kills", 1), ("sip", 1)])
def test_every_row_is_run_and_written_and_one_that_failed_is_the_exit_status(
    page: Path, monkeypatch: pytest.MonkeyPatch, failing: str, status: int
) -> None:
    monkeypatch.setattr(__main__, "prove", lambda row: Outcome(1, ("test_x",) if row.name == failing else ()))
    assert main("") == status
    text = page.read_text()
    assert text.count("1 passed") == 2
    assert text.count("**failed**: test_x") == status


def test_one_row_alone_is_run_alone(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(__main__, "prove", lambda row: Outcome(1))
    assert main("sip") == 0
    assert page.read_text().count("not run yet") == 1


def test_a_row_that_was_left_out_does_not_count_as_held(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(__main__, "prove", lambda row: Outcome(left_out="no engine") if row is OTHER else Outcome(1))
    assert main("") == 0
    assert "1 of 2 rows hold; not run: sip" in capsys.readouterr().out
    assert "not run: no engine" in page.read_text()


def test_a_row_that_is_not_there_is_said(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("nothing") == 2
    assert "bus-kills, sip" in capsys.readouterr().err
    assert page.read_text() == PAGE


def test_the_long_form_reaches_the_tests_and_their_counts_the_table(tmp_path: Path) -> None:
    """pytest for real, on a test file of this test's own."""
    path = tmp_path / "test_own.py"
    path.write_text(
        "import os, pytest\n"
        "pytestmark = pytest.mark.unit\n"
        "def test_it(record_property):\n"
        "    record_property('kills', int(os.environ['OWN_KILLS']))\n"
        "def test_not():\n"
        "    assert os.environ['OWN_KILLS'] == '8'\n"
    )
    outcome = __main__.prove(Row("own", "it counts", (str(path),), {"OWN_KILLS": "7"}))
    assert (outcome.passed, outcome.failed, outcome.tried) == (1, ("test_not",), {"kills": 7})
    assert outcome.seconds > 0


def test_the_table_has_a_head_for_each_cell() -> None:
    cells = line_of(FIRST, Outcome(1), DAY).count("|")
    assert {line.count("|") for line in table.HEAD.splitlines()} == {cells}
    assert (table.start_of(FIRST) + table.NEVER).count("|") == cells
