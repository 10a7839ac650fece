"""The command line of the benches of speed, and the end of each."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from switchboard.settings import TelemetrySettings
from switchboard.telemetry import setup

from bench.frame import machine
from bench.frame.report import markdown
from bench.frame.results import ACCEPTED, Case, Figure, Provenance, Result

MEASURED = Path(__file__).parents[2] / "var" / "bench"
NOISY = 75  # EX_TEMPFAIL of sysexits(3): try again later


@dataclass(frozen=True)
class Options:
    seed: int
    quick: bool
    accept: bool
    into: Path
    whatever: bool

    @classmethod
    def parse(cls, what: str, arguments: Sequence[str] | None = None) -> Options:
        parser = argparse.ArgumentParser(description=what)
        parser.add_argument("--seed", type=int, default=1, help="of drawn values and of the bootstrap")
        parser.add_argument(
            "--quick", action="store_true", help="a few units: shows that the bench works, claims nothing"
        )
        parser.add_argument("--accept", action="store_true", help="keep the figures as bench/results/<name>.json")
        parser.add_argument("--into", type=Path, default=MEASURED, help="folder of the figures that were not accepted")
        parser.add_argument(
            "--whatever", action="store_true", help="keep them there, with the A/A line, also when they are too noisy"
        )
        given = parser.parse_args(arguments)
        if given.accept and given.quick:
            parser.error("--accept: the quick form claims nothing; leave out --quick")
        return cls(**vars(given))


@dataclass(frozen=True)
class Start:
    """What is noted before the first unit runs."""

    at: datetime
    load: float

    @classmethod
    def now(cls) -> Start:
        return cls(datetime.now(UTC), os.getloadavg()[0])


Bench = Callable[[Options, Start], Coroutine[Any, Any, int]]


def run(what: str, bench: Bench, arguments: Sequence[str] | None = None) -> int:
    """A bench's ``main``. What of ours runs in this process makes its spans, as in a service; only errors are logged."""
    options = Options.parse(what, arguments)
    setup("bench", TelemetrySettings.model_validate({"log_level": "error"}), stream=sys.stderr)
    return asyncio.run(bench(options, Start.now()))


def finish(
    name: str, options: Options, start: Start, cases: Sequence[Case], figures: Sequence[Figure] = (),
    notes: Sequence[str] = (),
) -> int:  # fmt: skip
    """Prints the result and keeps it as ``<name>.json``. Exit code 0, or ``NOISY`` where nothing can be said and is kept."""
    run = Provenance(
        command=machine.command(name),
        commit=machine.commit(),
        date=start.at.strftime("%Y-%m-%dT%H:%M"),
        machine=machine.machine(),
        seed=options.seed,
        quick=options.quick,
        load=(start.load, os.getloadavg()[0]),
        seconds=(datetime.now(UTC) - start.at).total_seconds(),
    )
    result = Result(name=name, provenance=run, cases=tuple(cases), figures=tuple(figures), notes=tuple(notes))
    print(markdown(result))
    if not result.noisy or options.whatever:
        result.write(options.into / f"{name}.json")
    if result.noisy:
        return NOISY
    if options.accept:
        result.write(ACCEPTED / f"{name}.json")
    return 0
