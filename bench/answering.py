"""How soon a call is answered: INVITE to 200 OK to the agent's first sound, one call and bursts, beside a plain worker.

    python -m bench.answering [--quick] [--seed N] [--accept]

Greetings are of the same words, by the same emulated voice (100 ms).
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence

from bench.frame import command, statistics
from bench.frame.interleave import LATENCY, Against, Batch, Side, interleave
from bench.frame.results import Figure
from bench.voice.bed import OURS, STOCK, Bed
from bench.voice.phone import NotAnswered, call
from bench.voice.sides import TITLES, Findings, on_a_bed, role
from bench.voice.speech import Callers

NAME = "answering"
BURSTS, QUICK_BURSTS = (1, 3, 5), (2,)
BLOCKS = {1: 6, 3: 5, 5: 5}
CALLS_IN_A_BATCH = {1: 3, 3: 6, 5: 10}
GOAL = 0.60
SETTLE_S, QUICK_SETTLE_S = 2.5, 0.5
"""Between two batches: jobs that end, and warm processes that are made again."""


class Answering:
    """Bursts of one size. A batch is as many calls as its units, `size` at the same moment."""

    def __init__(self, made: Bed, size: int, settle_s: float) -> None:
        self._bed = made
        self._size = size
        self._settle_s = settle_s
        self.answered: dict[str, list[float]] = {}
        """INVITE to 200 OK."""
        self.flaws: dict[str, Counter[str]] = {}
        self.refusals: Counter[str] = Counter()
        """SIP answers of calls that were not taken."""

    def side(self, name: str) -> Side:
        return Side(TITLES[name], role(name), lambda units: self._batch(name, units))

    async def _batch(self, name: str, units: int) -> Batch:
        heard: list[float] = []
        for _ in range(max(1, units // self._size)):
            # With the last call's processes gone, as calls come in a quiet minute.
            await asyncio.sleep(self._settle_s)
            found = await asyncio.gather(*(self._one(name) for _ in range(self._size)))
            heard += [one for one in found if one is not None]
        if not heard:
            raise RuntimeError(f"{name} answered no call of {self._size} at once: {dict(self.refusals)}")
        return Batch(len(heard), tuple(heard))

    async def _one(self, name: str) -> float | None:
        """INVITE to the first sound of the greeting; None when nobody answered."""
        flaws = self.flaws.setdefault(name, Counter())
        flaws["calls"] += 1
        try:
            async with call(self._bed.sip, self._bed.numbers[name]) as phone:
                first = await phone.greeting()
                self.answered.setdefault(name, []).append(phone.answered - phone.invited)
                return first - phone.invited
        except NotAnswered as refused:
            flaws["unanswered"] += 1
            self.refusals[str(refused)] += 1
            return None


def figures_of(found: Answering, size: int, seed: int) -> list[Figure]:
    """INVITE to 200 OK, which is part of the time in the table."""
    return [
        Figure(
            title=f"INVITE to 200 OK, {TITLES[name]}, {calls(size)}",
            unit="ms",
            p50=statistics.spread([1000 * one for one in values], seed),
        )
        for name, values in found.answered.items()
    ]


def calls(size: int) -> str:
    return "one call" if size == 1 else f"{size} at once"


async def collect(made: Bed, _callers: Callers, options: command.Options) -> Findings:
    findings = Findings()
    for size in QUICK_BURSTS if options.quick else BURSTS:
        found = Answering(made, size, QUICK_SETTLE_S if options.quick else SETTLE_S)
        sides = [found.side(OURS), found.side(STOCK)]
        units, blocks = (size, 1) if options.quick else (CALLS_IN_A_BATCH[size], BLOCKS[size])
        # The first calls of a worker find its processes cold.
        trial = await interleave(sides, units=units, blocks=blocks, warmup=0 if options.quick else size)
        claims = [Against(TITLES[STOCK], LATENCY, GOAL)]
        findings.cases.append(trial.case(f"INVITE to first agent audio, {calls(size)}", "call", claims, options.seed))
        findings.figures += figures_of(found, size, options.seed)
        for name, flaws in found.flaws.items():
            told = f"{flaws['unanswered']} of {flaws['calls']} unanswered"
            findings.notes.append(f"{TITLES[name]}, {calls(size)}: {told}.")
    findings.notes.append("Either worker keeps two warm processes.")
    return findings


async def measure(options: command.Options, start: command.Start) -> int:
    return await on_a_bed(NAME, collect, options, start)


def main(arguments: Sequence[str] | None = None) -> int:
    return command.run("Answering a call.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
