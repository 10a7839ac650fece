"""What is printed and what stands in the page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.frame import publish
from bench.frame.chart import draw
from bench.frame.command import NOISY, Options, Start, finish
from bench.frame.report import duration, markdown
from bench.frame.results import Result, accepted
from bench.tests.frame.made import result, trial

pytestmark = pytest.mark.unit


def test_a_result_as_markdown() -> None:
    told = markdown(result())
    assert told.startswith(
        "`python -m bench.thing`, 2026-01-02 03:04 UTC, Some CPU, 2 cores, Python 3.11.7, commit `0000000`"
    )
    assert "| our wrapper (ours) | 100 | 2 ms | 2 ms | - | 200 µs (200 µs to 200 µs) | 50.0 MB |" in told
    assert "* latency: 2.00 x (2.00 to 2.00) of the library, goal 1.25: **NOT met**" in told
    assert "* CPU: 2.00 x (2.00 to 2.00) of the library\n" in told
    assert "* A/A: our wrapper latency 1.00 x" in told
    assert "| cold start | 60 | 12.3 ms (11 to 14) | 20.5 ms | - | p95 10 ms: **NOT met** |" in told


def test_a_noisy_result_says_so_and_nothing_else() -> None:
    assert markdown(result(drift=1.2)) == "too noisy"


@pytest.mark.parametrize(("seconds", "told"), [(1.35, "1.35 s"), (0.0042, "4.2 ms"), (0.00031, "310 µs"), (None, "-")])
def test_durations(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


def test_a_run_prints_and_keeps_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options.parse("x", ["--quick", "--into", str(tmp_path)])
    case = trial((0.002, 0.0002), (0.001, 0.0001)).case("thing", "request", [])
    assert finish("thing", options, Start.now(), [case]) == 0
    assert "claims nothing" in capsys.readouterr().out
    kept = Result.read(tmp_path / "thing.json")
    assert kept.cases == (case,)
    assert kept.provenance.quick


def test_a_noisy_run_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options.parse("x", ["--into", str(tmp_path)])
    noisy = result(drift=1.2).cases
    assert finish("thing", options, Start.now(), noisy) == NOISY
    assert capsys.readouterr().out == "too noisy\n"
    assert list(tmp_path.iterdir()) == []


def test_the_quick_form_is_never_accepted() -> None:
    with pytest.raises(SystemExit):
        Options.parse("x", ["--quick", "--accept"])


def test_the_page_has_the_accepted_figures() -> None:
    page = publish.PAGE.read_text(encoding="utf-8")
    results = list(accepted())
    assert publish.filled(page, results) == page, "run make bench-page"
    for one in results:
        assert not one.provenance.quick
        assert not one.cases or (publish.PAGE.parent / publish.CHARTS / f"{one.name}.svg").exists()


def test_figures_without_a_place_in_the_page_are_refused() -> None:
    page = "a\n<!-- bench thing -->\nold\n<!-- end of bench thing -->\nb\n"
    told = publish.filled(page, [result()])
    assert told.startswith("a\n<!-- bench thing -->\n`python")
    assert told.endswith("![thing](charts/thing.svg)\n<!-- end of bench thing -->\nb\n")
    with pytest.raises(ValueError, match="no place for thing"):
        publish.filled("a\n", [result()])


def test_a_chart_names_every_side_and_is_the_same_each_time(tmp_path: Path) -> None:
    charts = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert [draw(result(), chart) for chart in charts] == [True, True]
    text = "".join(ElementTree.fromstring(charts[0].read_text()).itertext())  # noqa: S314 our own file
    assert all(part in text for part in ("our wrapper", "the library", "2 ms", "200 µs"))
    assert charts[0].read_bytes() == charts[1].read_bytes()
