"""The short form of the answers bench runs, and invents nothing."""

from __future__ import annotations

import asyncio
import sys

import pytest
from fleet.files import FleetFiles

from bench.offline.clinics import load

pytestmark = pytest.mark.integration


async def test_the_quick_answers_bench_runs_and_nothing_is_invented() -> None:
    command = ["-m", "bench.offline_answers", "--quick", "--clinics", "development"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=FleetFiles.checkout(),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    table = printed.decode()
    asked = 4 * len(load("development", 1))  # of each form
    assert f"| covered form | all | all | {asked} |" in table
    assert f"0 of {asked} invented" in table
