"""What the sides are called in the tables, and what a voice bench has to tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from fleet.speech import Synthesizer

from bench.frame import command
from bench.frame.results import Case, Figure, Role
from bench.voice.bed import GREETING, OURS, STOCK, TUNED, Bed, bed
from bench.voice.speech import Callers

TITLES = {OURS: "ours", STOCK: "plain, stock", TUNED: "plain, our turn settings"}
FLOOR = "floor"


def role(name: str) -> Role:
    return "ours" if name == OURS else "peer"


@dataclass
class Findings:
    """Of one bench."""

    cases: list[Case] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Collect = Callable[[Bed, Callers, command.Options], Awaitable[Findings]]


async def on_a_bed(
    name: str, collect: Collect, options: command.Options, start: command.Start, greeting: str = GREETING
) -> int:
    """Runs a bench on a bed of its own; its exit code."""
    with TemporaryDirectory(prefix="switchboard-bench-") as folder:
        async with bed(Path(folder), seed=options.seed, greeting=greeting) as made:
            callers = Callers(made.clinic, Synthesizer(Path(folder) / "said"), options.seed)
            found = await collect(made, callers, options)
    return command.finish(name, options, start, found.cases, found.figures, found.notes)
