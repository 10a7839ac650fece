"""How long a caller waits for an answer, over SIP: ours beside the floor and a plain livekit-agents worker.

    python -m bench.voice_to_voice [--quick] [--seed N] [--accept]

From the caller's last voiced sample to the agent's first, both found in what went over the telephone line. The floor is
what the providers are set to take (150 + 300 + 100 ms) and the same way there and back, measured in the same run with
somebody in the room who returns the caller's audio at once.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from fleet.speech import Samples

from bench.frame import command, statistics
from bench.frame.interleave import LATENCY, Against, Batch, Side, Trial, interleave
from bench.frame.results import Figure, Goal
from bench.peer import ECHO
from bench.voice.bed import OURS, PROVIDERS_MS, STOCK, TUNED, Bed
from bench.voice.phone import NotAnswered
from bench.voice.sides import FLOOR, TITLES, Findings, on_a_bed, role
from bench.voice.speech import Callers, line_noise
from bench.voice.turns import Turns, echo, talk

NAME = "voice_to_voice"
TURNS, BLOCKS = 5, 4
QUICK_TURNS, QUICK_BLOCKS = 1, 1


class Run:
    """The sides, and what is counted beside the times."""

    def __init__(self, made: Bed, callers: Callers, seed: int) -> None:
        self._bed = made
        self._callers = callers
        self._noise = line_noise(seed)
        self._asked: dict[str, Iterator[Samples]] = {}
        self.flaws: dict[str, Counter[str]] = {}
        self.late: list[float] = []

    def side(self, name: str) -> Side:
        return Side(TITLES[name], role(name), lambda units: self._call(name, units))

    def floor(self) -> Side:
        return Side(FLOOR, "floor", self._echo)

    def _questions(self, name: str) -> Iterator[Samples]:
        # Each side walks through the same list.
        return self._asked.setdefault(name, self._callers.questions("turns"))

    async def _call(self, name: str, units: int) -> Batch:
        turns = Turns()
        while not turns.voice_to_voice:
            try:
                turns = await talk(self._bed, name, self._questions(name), units, self._noise)
            except NotAnswered:
                self.flaws.setdefault(name, Counter())["calls not answered"] += 1
            self._note(name, turns)
        return Batch(len(turns.voice_to_voice), tuple(turns.voice_to_voice))

    def _note(self, name: str, turns: Turns) -> None:
        flaws = self.flaws.setdefault(name, Counter())
        flaws["turns"] += len(turns.voice_to_voice) + turns.cut_off + turns.silent
        flaws["cut off"] += turns.cut_off
        flaws["unanswered"] += turns.silent
        self.late += turns.late

    async def _echo(self, units: int) -> Batch:
        found = await echo(self._bed, self._questions(ECHO), units)
        return Batch(units, tuple(PROVIDERS_MS / 1000 + one for one in found))


def tail(trial: Trial, name: str, against: str, goal: float, seed: int) -> list[Figure]:
    """The ratio of the p95s, where there are enough turns."""
    ours, theirs = trial.seconds(name), trial.seconds(against)
    if statistics.p95(ours) is None:
        return []
    low = statistics.quantile(theirs, 0.95)
    ratio = statistics.spread(ours, seed, of=lambda values: statistics.quantile(values, 0.95) / low)
    return [Figure(title=f"p95 of {name} ÷ p95 of {against}", unit="x", p50=ratio, goal=Goal(of="p50", limit=goal))]


def notes(run: Run, made: Bed, recordings: int) -> list[str]:
    found = [
        f"Providers set to {PROVIDERS_MS} ms (STT 150, LLM 300, TTS 100), counted from the caller's last sound; over "
        f"{made.layout.sip.software}; {recordings} recordings of people among the questions."
    ]
    for name, flaws in run.flaws.items():
        found.append(
            f"{TITLES[name]}: {flaws['cut off']} of {flaws['turns']} turns cut off, {flaws['unanswered']} unanswered."
        )
    if run.late:
        found.append(f"The caller's frames went out {1000 * statistics.quantile(run.late, 0.99):.1f} ms late at p99.")
    return found


async def collect(made: Bed, callers: Callers, options: command.Options) -> Findings:
    turns, blocks = (QUICK_TURNS, QUICK_BLOCKS) if options.quick else (TURNS, BLOCKS)
    run = Run(made, callers, options.seed)
    sides = [run.side(OURS), run.side(STOCK), run.side(TUNED), run.floor()]
    # A first call of each that doesn't count: connections, caches, speech.
    trial = await interleave(sides, units=turns, blocks=blocks, warmup=0 if options.quick else 1)
    claims = [
        Against(FLOOR, LATENCY, 1.05),
        Against(TITLES[STOCK], LATENCY, 0.80),
        Against(TITLES[TUNED], LATENCY),
    ]
    return Findings(
        [trial.case("voice to voice", "turn", claims, options.seed)],
        tail(trial, TITLES[OURS], FLOOR, 1.25, options.seed),
        notes(run, made, callers.recordings),
    )


async def measure(options: command.Options, start: command.Start) -> int:
    return await on_a_bed(NAME, collect, options, start)


def main(arguments: Sequence[str] | None = None) -> int:
    return command.run("Voice to voice at the caller.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
