"""The short forms of the benches of speed: every side runs against real servers and answers rightly. No time is looked at."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from fleet.files import FleetFiles

from bench.frame.command import NOISY
from bench.frame.report import TOO_NOISY
from bench.frame.results import Result

pytestmark = pytest.mark.integration

# What each bench compares, and the measured lines beside it.
BENCHES = {
    "bus": (3, 3, 4),
    "retrieval": (1, 3, 3),
    "admission": (1, 3, 6),
    "gateway": (1, 3, 0),
}


@pytest.mark.parametrize("name", BENCHES)
async def test_the_quick_form_runs_every_side(name: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"bench.{name}", "--quick", "--whatever", "--into", str(tmp_path), cwd=FleetFiles.checkout(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, complaints = await process.communicate()
    assert process.returncode in (0, NOISY), complaints.decode()
    result = Result.read(tmp_path / f"{name}.json")
    # On a busy machine it says so, and nothing else.
    assert (printed.decode() == TOO_NOISY + "\n") is result.noisy is (process.returncode == NOISY)
    cases, sides, figures = BENCHES[name]
    assert [len(case.sides) for case in result.cases] == [sides] * cases
    assert len(result.figures) == figures
    assert all(side.n > 0 and side.p50_s and side.cpu_s for case in result.cases for side in case.sides)
    assert result.provenance.quick
    assert result.cpu_per_unit()
