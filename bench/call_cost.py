"""What a call costs: CPU seconds and private memory per call-minute, by process, beside a plain livekit-agents worker.

    python -m bench.call_cost [--quick] [--seed N] [--accept]

1, 3 and 5 calls over SIP; 10 and 15 through room participants, as the SIP bridge would make them. In every call somebody asks
all the time. Counted from before the calls begin until their jobs have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics as medians
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from fleet.layout import SERVICES
from fleet.process import FleetError
from fleet.speech import Samples

from bench.frame import command, statistics, usage
from bench.frame.interleave import CPU, MEMORY, Against, Batch, Side, Trial, interleave
from bench.frame.results import Figure
from bench.voice.bed import OURS, STOCK, Bed
from bench.voice.phone import NotAnswered, call
from bench.voice.room_caller import room_call
from bench.voice.sides import TITLES, Findings, on_a_bed, role
from bench.voice.speech import Callers, line_noise
from bench.voice.turns import END_OF_ANSWER_S, LONGEST_ANSWER_S, LONGEST_WAIT_S, Turns, ask

NAME = "call_cost"
SIP_CALLS, ROOM_CALLS = (1, 3, 5), (10, 15)
TALK_S, QUICK_TALK_S = 24.0, 4.0
APART_S = 0.4
"""Between the beginnings of two calls of a batch."""

SETTLE_S = 3.0
"""After the calls: their jobs end, warm processes are made again."""

GOAL_CPU, GOAL_MEMORY = 0.75, 0.60
WORKERS = {OURS: "voice-agent", STOCK: "peer"}
MEDIA = ("livekit", "sip", "redis-livekit")
OTHERS = (*(name for name in SERVICES if name != "voice-agent"), "nats", "postgres", "redis-app")
"""What our agent needs besides its worker; the plain one needs none of it."""


@dataclass
class Load:
    """So many calls at once."""

    bed: Bed
    callers: Callers
    noise: Samples
    calls: int
    talk_s: float
    parts: dict[int, dict[str, float]] = field(default_factory=dict)
    """By a batch's id: CPU seconds per call-minute of each process."""
    answers: dict[str, list[float]] = field(default_factory=dict)
    """Voice to voice."""
    missed: dict[str, int] = field(default_factory=dict)

    @property
    def over_sip(self) -> bool:
        return self.calls <= max(SIP_CALLS)

    def side(self, name: str) -> Side:
        return Side(TITLES[name], role(name), lambda _: self._batch(name))

    async def _batch(self, name: str) -> Batch:
        pids = {one: self.bed.supervisor.pid_of(one) for one in (WORKERS[name], *MEDIA, *OTHERS)}
        idle = usage.pss_bytes([pids[WORKERS[name]]])
        before = {one: usage.cpu_s([pid]) for one, pid in pids.items()}
        talking = [asyncio.create_task(self._one(name, at)) for at in range(self.calls)]
        await asyncio.sleep(self.calls * APART_S + self.talk_s / 2)
        busy = await asyncio.to_thread(usage.pss_bytes, [pids[WORKERS[name]]])
        minutes = sum(await asyncio.gather(*talking)) / 60
        await asyncio.sleep(SETTLE_S)
        spent = {one: (usage.cpu_s([pid]) - before[one]) / minutes for one, pid in pids.items()}
        batch = Batch(1, cpu_s=spent[WORKERS[name]], pss_bytes=max(1, busy - idle) // self.calls)
        self.parts[id(batch)] = spent
        return batch

    async def _one(self, name: str, at: int) -> float:
        """Seconds that the call lasted; a call that nobody took counts nothing and is noted."""
        await asyncio.sleep(at * APART_S)
        clock = asyncio.get_running_loop().time
        began = clock()
        turns = Turns()
        questions = self.callers.questions(f"{self.calls} {at}")
        try:
            talk = self._over_sip if self.over_sip else self._in_a_room
            await talk(name, questions, turns)
        except (NotAnswered, FleetError):
            self.missed[name] = self.missed.get(name, 0) + 1
        self.answers.setdefault(name, []).extend(turns.voice_to_voice)
        return clock() - began

    async def _over_sip(self, name: str, questions: Iterator[Samples], turns: Turns) -> None:
        clock = asyncio.get_running_loop().time
        async with call(self.bed.sip, self.bed.numbers[name], self.noise) as phone:
            until = clock() + self.talk_s
            await phone.media.until_silence(await phone.greeting(), LONGEST_ANSWER_S, END_OF_ANSWER_S)
            while clock() < until:
                await ask(phone, next(questions), turns)

    async def _in_a_room(self, name: str, questions: Iterator[Samples], turns: Turns) -> None:
        clock = asyncio.get_running_loop().time
        async with room_call(self.bed, name, self.noise) as caller:
            until = clock() + self.talk_s
            while clock() < until:
                await caller.until_silence(END_OF_ANSWER_S)
                said = caller.say(next(questions))
                await said.over.wait()
                with contextlib.suppress(FleetError):
                    heard = await caller.until_speech(said.ended, LONGEST_WAIT_S)
                    turns.voice_to_voice.append(heard - said.ended)

    def whole(self, trial: Trial) -> Trial:
        """The same batches with everything that a call needs: for ours the other services too, for both the media."""

        def of(name: str, batch: Batch) -> Batch:
            counted = (WORKERS[name], *MEDIA, *(OTHERS if name == OURS else ()))
            return replace(batch, cpu_s=sum(self.parts[id(batch)][one] for one in counted), pss_bytes=None)

        names = {TITLES[name]: name for name in (OURS, STOCK)}
        batches = {
            title: [(of(names[title], first), of(names[title], second)) for first, second in pairs]
            for title, pairs in trial.batches.items()
        }
        return Trial(trial.sides, batches)

    def figures(self, seed: int) -> list[Figure]:
        """How soon answers came at this load: where it bends is the knee."""
        return [
            Figure(
                title=f"voice to voice, {TITLES[name]}, {calls(self.calls)}",
                unit="ms",
                p50=statistics.spread([1000 * one for one in found], seed),
                p95=None if (tail := statistics.p95(found)) is None else 1000 * tail,
            )
            for name, found in self.answers.items()
            if found
        ]

    def note(self, trial: Trial) -> str:
        """CPU by process."""
        rows = []
        for name in (OURS, STOCK):
            batches = [batch for pair in trial.batches[TITLES[name]] for batch in pair]
            spent = {
                one: medians.median([self.parts[id(batch)][one] for batch in batches])
                for one in (WORKERS[name], *MEDIA, *(OTHERS if name == OURS else ()))
            }
            told = ", ".join(f"{one} {seconds:.2f}" for one, seconds in spent.items() if seconds >= 0.01)
            rows.append(f"{TITLES[name]}: {told} s ({self.missed.get(name, 0)} calls not taken)")
        return f"CPU seconds per call-minute, {calls(self.calls)}: {'; '.join(rows)}."


def calls(count: int) -> str:
    way = "over SIP" if count <= max(SIP_CALLS) else "in rooms"
    return f"{count} call{'s' * (count > 1)} {way}"


async def collect(made: Bed, callers: Callers, options: command.Options) -> Findings:
    noise = line_noise(options.seed)
    findings = Findings()
    for count in (1,) if options.quick else (*SIP_CALLS, *ROOM_CALLS):
        load = Load(made, callers, noise, count, QUICK_TALK_S if options.quick else TALK_S)
        trial = await interleave([load.side(OURS), load.side(STOCK)], units=1, blocks=1)
        alone = [Against(TITLES[STOCK], CPU, GOAL_CPU), Against(TITLES[STOCK], MEMORY, GOAL_MEMORY)]
        findings.cases.append(trial.case(f"{calls(count)}, the worker alone", "call-minute", alone, options.seed))
        all_of_it = [Against(TITLES[STOCK], CPU, GOAL_CPU)]
        whole = load.whole(trial)
        findings.cases.append(whole.case(f"{calls(count)}, all that it needs", "call-minute", all_of_it, options.seed))
        findings.figures += load.figures(options.seed)
        findings.notes.append(load.note(trial))
    findings.notes.append(
        "PSS is what a call adds to its worker: with the calls less before them, divided by their number."
    )
    return findings


async def measure(options: command.Options, start: command.Start) -> int:
    return await on_a_bed(NAME, collect, options, start)


def main(arguments: Sequence[str] | None = None) -> int:
    return command.run("The cost of a call.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
