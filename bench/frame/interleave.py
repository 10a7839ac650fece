"""Runs the sides of a comparison in turns, so that what the machine does beside them hits all alike.

A block is A-B-B-A (A-B-C-C-B-A with three sides): a drift within a block cancels out, and each side's two batches of a block
divided by each other are the A/A line, which says how far the ratios can be believed.
"""

from __future__ import annotations

import statistics as medians
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.frame import statistics, usage
from bench.frame.results import Agreement, Case, Comparison, Role, SideFigures


@dataclass(frozen=True)
class Batch:
    """One side's share of a block.

    ``seconds``: the latency of each unit, where latency is measured; ``cpu_s``: CPU of the processes under test over the
    whole batch; ``pss_bytes``: their memory at its end.
    """

    units: int
    seconds: tuple[float, ...] = ()
    cpu_s: float | None = None
    pss_bytes: int | None = None


@dataclass(frozen=True)
class Side:
    """``run`` does that many units and says what they took."""

    name: str
    role: Role
    run: Callable[[int], Awaitable[Batch]]


@dataclass(frozen=True)
class Measure:
    """What is compared of a batch: seconds, CPU seconds or bytes per unit. None where the batch has it not."""

    name: str
    of: Callable[[Batch], float | None]


LATENCY = Measure("latency", lambda batch: medians.median(batch.seconds) if batch.seconds else None)
CPU = Measure("CPU", lambda batch: None if batch.cpu_s is None else batch.cpu_s / batch.units)
MEMORY = Measure("memory", lambda batch: batch.pss_bytes)


@dataclass(frozen=True)
class Against:
    """A ratio that is claimed: ours by ``measure`` divided by the side of that name. ``goal``: at most."""

    side: str
    measure: Measure
    goal: float | None = None


@dataclass(frozen=True)
class Trial:
    """The batches of every side, two a block: first and second."""

    sides: tuple[Side, ...]
    batches: dict[str, list[tuple[Batch, Batch]]]

    def seconds(self, side: str) -> list[float]:
        return [value for pair in self.batches[side] for batch in pair for value in batch.seconds]

    def case(self, title: str, unit: str, claims: Sequence[Against], seed: int = 1) -> Case:
        """The figures. A/A is taken of each side and measure that a claim rests on."""
        ours = self.sides[0].name
        used = dict.fromkeys((side, claim.measure) for claim in claims for side in (ours, claim.side))
        return Case(
            title=title,
            unit=unit,
            blocks=len(self.batches[ours]),
            sides=tuple(self._figures(side, seed) for side in self.sides),
            comparisons=tuple(self._comparison(ours, claim, seed) for claim in claims),
            agreements=tuple(self._agreement(side, measure, seed) for side, measure in used),
        )

    def _figures(self, side: Side, seed: int) -> SideFigures:
        seconds = self.seconds(side.name)
        batches = [batch for pair in self.batches[side.name] for batch in pair]
        cpu = [value for batch in batches if (value := CPU.of(batch)) is not None]
        pss = [float(value) for batch in batches if (value := batch.pss_bytes) is not None]
        return SideFigures(
            name=side.name,
            role=side.role,
            n=sum(batch.units for batch in batches),
            p50_s=medians.median(seconds) if seconds else None,
            p95_s=statistics.p95(seconds),
            p99_s=statistics.p99(seconds),
            cpu_s=statistics.spread(cpu, seed) if cpu else None,
            pss_bytes=statistics.spread(pss, seed) if pss else None,
        )

    def _pairs(self, side: str, measure: Measure) -> list[tuple[float, float]]:
        found = []
        for first, second in self.batches[side]:
            values = (measure.of(first), measure.of(second))
            if values[0] is None or values[1] is None:
                raise ValueError(f"{side} has no {measure.name}, which is compared")
            found.append((values[0], values[1]))
        return found

    def _comparison(self, ours: str, claim: Against, seed: int) -> Comparison:
        pairs = zip(self._pairs(ours, claim.measure), self._pairs(claim.side, claim.measure), strict=True)
        ratios = [sum(mine) / sum(theirs) for mine, theirs in pairs]
        spread = statistics.spread(ratios, seed)
        return Comparison(measure=claim.measure.name, against=claim.side, ratio=spread, goal=claim.goal)

    def _agreement(self, side: str, measure: Measure, seed: int) -> Agreement:
        ratios = [first / second for first, second in self._pairs(side, measure)]
        return Agreement(side=side, measure=measure.name, ratio=statistics.spread(ratios, seed))


def one_by_one(
    name: str, role: Role, one: Callable[[], Awaitable[float]], pids: Sequence[int], *, own: bool = True
) -> Side:
    """A side whose units run one after the other; ``one`` returns its seconds.

    CPU is of ``pids`` with all that they started, and with ``own`` of this process without what it started.
    """

    def cpu() -> float:
        return usage.cpu_s(pids) + (time.process_time() if own else 0.0)

    async def batch(units: int) -> Batch:
        before = cpu()
        seconds = tuple([await one() for _ in range(units)])
        return Batch(units, seconds, cpu() - before)

    return Side(name, role, batch)


async def interleave(sides: Sequence[Side], *, units: int, blocks: int, warmup: int = 0) -> Trial:
    """``blocks`` times all sides forth and back, ``units`` at a time, after ``warmup`` units of each that don't count."""
    if warmup:
        for side in sides:
            await side.run(warmup)
    batches: dict[str, list[tuple[Batch, Batch]]] = {side.name: [] for side in sides}
    for _ in range(blocks):
        forth = [await side.run(units) for side in sides]
        back = [await side.run(units) for side in reversed(sides)]
        for side, first, second in zip(sides, forth, reversed(back), strict=True):
            batches[side.name].append((first, second))
    return Trial(tuple(sides), batches)
