"""The guard fails when CPU per unit grows, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.frame import guard
from bench.frame.command import NOISY
from bench.frame.results import Result
from bench.tests.frame.made import result

pytestmark = pytest.mark.unit


def run(folder: Path, now: Result, before: Result | None = None) -> int:
    (before or result()).write(folder / "accepted" / "thing.json")
    now.write(folder / "measured" / "thing.json")
    return guard.main(["--measured", str(folder / "measured")], folder / "accepted")


@pytest.mark.parametrize(("times", "code"), [(0.5, 0), (1.0, 0), (1.29, 0), (1.31, guard.FAILED)])
def test_more_cpu_per_unit_fails(tmp_path: Path, times: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, result(cpu_s=0.0002 * times)) == code
    told = capsys.readouterr().out
    assert ("thing: thing: our wrapper takes 262 µs of CPU, 1.31 x the accepted 200 µs" in told) is (code != 0)


def test_time_on_the_clock_is_not_looked_at(tmp_path: Path) -> None:
    assert run(tmp_path, result(latency_s=0.02)) == 0


def test_what_is_measured_no_more_fails(tmp_path: Path) -> None:
    gone = result().model_copy(update={"cases": ()})
    assert run(tmp_path, gone) == guard.FAILED


def test_figures_of_another_machine_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, result(machine="Another CPU")) == guard.FAILED
    assert "accept figures of this machine first" in capsys.readouterr().out


def test_a_noisy_run_is_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, result(cpu_s=0.0001, drift=1.2)) == NOISY
    assert capsys.readouterr().out == "thing: too noisy\n"


def test_a_name_without_accepted_figures_is_refused(tmp_path: Path) -> None:
    result().write(tmp_path / "thing.json")
    with pytest.raises(SystemExit):
        guard.main(["other"], tmp_path)
