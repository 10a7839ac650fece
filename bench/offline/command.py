"""The command line that both benches share."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from bench.frame.machine import heading
from bench.offline.call import place
from bench.offline.clinics import DEVELOPMENT, GROUPS, held_out, load
from bench.offline.knowledge import opened
from bench.offline.trials import Outcome, Runner, plan


@dataclass(frozen=True)
class Options:
    """``conditions``: in how many of the ten pairs of voice and line each question is asked."""

    clinics: str
    seed: int
    quick: bool
    conditions: int
    workers: int
    record: Path | None

    @classmethod
    def parse(cls, what: str, arguments: Sequence[str] | None = None) -> Options:
        parser = argparse.ArgumentParser(description=what)
        parser.add_argument("--clinics", choices=GROUPS, default=GROUPS[0], help="folder of bench/data")
        parser.add_argument("--seed", type=int, default=1, help="of drawn values, noise and samples")
        parser.add_argument("--quick", action="store_true", help="twelve questions a clinic, each asked once")
        parser.add_argument(
            "--conditions", type=int, default=2, choices=range(1, 11), help="voices and lines a question"
        )
        parser.add_argument("--workers", type=int, default=2, help="ears at a time")
        parser.add_argument("--record", type=Path, help="write every attempt to this file (development clinics only)")
        given = parser.parse_args(arguments)
        if given.record and held_out(given.clinics):
            parser.error(
                f"--record: a look at how test clinics fail makes them useless as a test; use --clinics {DEVELOPMENT}"
            )
        return cls(**vars(given))


async def measure(options: Options, *, answers: bool) -> list[Outcome]:
    """All outcomes; with ``answers`` False only the ear is asked."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    outcomes: list[Outcome] = []
    async with opened() as knowledge:
        for clinic in load(options.clinics, options.seed):
            where = await place(clinic, knowledge)
            conditions = 1 if options.quick else options.conditions
            trials = plan(clinic, options.clinics, quick=options.quick, conditions=conditions, seed=options.seed)
            runner = Runner(where, knowledge if answers else None, options.seed, options.workers)
            before = len(outcomes)
            await runner.run(trials, outcomes.append)
            sys.stderr.write(f"{clinic.name}: {len(outcomes) - before} questions asked\n")
    if options.record:
        options.record.write_text("".join(one.to_json() + "\n" for one in outcomes), encoding="utf-8")
    return outcomes


def started() -> datetime:
    return datetime.now(UTC)


def print_heading(name: str, options: Options, outcomes: Sequence[Outcome], began: datetime) -> None:
    questions = {(one.trial.question.clinic, one.trial.question.text) for one in outcomes}
    clinics = {clinic for clinic, _ in questions}
    voices = sorted({f"{one.trial.voice.name} ({'seen' if one.trial.voice.seen else 'unseen'})" for one in outcomes})
    seconds = (datetime.now(UTC) - began).total_seconds()
    print(heading(name, options.seed, began))
    print(f"{len(questions)} questions to {len(clinics)} {options.clinics} clinics, asked {len(outcomes)} times by "
          f"{', '.join(voices)}; {seconds:.0f} s\n")  # fmt: skip
