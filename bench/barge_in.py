"""How soon the agent is silent when the caller speaks: ours beside the way itself and a plain livekit-agents worker.

    python -m bench.barge_in [--quick] [--seed N] [--accept]

From the caller's first voiced sample to the agent's last one at the caller, in the middle of a long answer and during the
greeting; and what coughs and "mm-hm" do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections import Counter
from collections.abc import Sequence

from fleet.process import FleetError
from fleet.speech import Samples

from bench.frame import command, statistics
from bench.frame.interleave import LATENCY, Against, Batch, Side, interleave
from bench.frame.results import Figure, Goal
from bench.voice.bed import OURS, STOCK, TUNED, Bed
from bench.voice.phone import Media, PhoneCall, call
from bench.voice.sides import FLOOR, TITLES, Findings, on_a_bed, role
from bench.voice.speech import Callers, cough, line_noise
from bench.voice.turns import END_OF_ANSWER_S, LONGEST_ANSWER_S, LONGEST_WAIT_S, echo

NAME = "barge_in"
GOAL_BEYOND_ECHO_MS = 120
BLOCKS, UNITS = 5, 2
INTO_SPEECH_S = (0.6, 1.4)
"""How long the agent has been speaking when the caller begins."""

SILENT_S = 0.45
"""No voiced sound for so long is silence; espeak-ng pauses up to 0.41 s within a sentence."""

STOPS_WITHIN_S = 3.0
RESUMES_WITHIN_S = 4.0
NOISES = 4
GREETING = (
    "Hello, this is the front desk of the clinic, and you can ask me about our treatments, our prices, our opening hours and "
    "how to find us, so please tell me how I can help you today?"
)
ANSWER, AT_GREETING = "in the middle of an answer", "during the greeting"


class Barging:
    """One kind of interruption."""

    def __init__(self, made: Bed, callers: Callers, seed: int, where: str) -> None:
        self._bed = made
        self._callers = callers
        self._noise = line_noise(seed)
        self._where = where
        self._rng = {name: random.Random(f"{seed} {where}") for name in (OURS, STOCK, TUNED)}
        self.flaws: dict[str, Counter[str]] = {}

    def side(self, name: str) -> Side:
        return Side(TITLES[name], role(name), lambda units: self._batch(name, units))

    async def _batch(self, name: str, units: int) -> Batch:
        found: list[float] = []
        while len(found) < units:
            stopped = await self._one(name)
            flaws = self.flaws.setdefault(name, Counter())
            flaws["tries"] += 1
            if stopped is None:
                flaws["never"] += 1
                # Counted as the longest that was waited for: leaving it out would flatter whoever does not stop.
                stopped = STOPS_WITHIN_S
            found.append(stopped)
        return Batch(units, tuple(found))

    async def _one(self, name: str) -> float | None:
        rng = self._rng[name]
        async with call(self._bed.sip, self._bed.numbers[name], self._noise) as phone:
            begun = await phone.greeting()
            if self._where == ANSWER:
                begun = await long_answer(phone, self._callers, rng)
            await asyncio.sleep(rng.uniform(*INTO_SPEECH_S))
            return await interrupted(phone, self._callers.interruption(rng), begun)


async def long_answer(phone: PhoneCall, callers: Callers, rng: random.Random) -> float:
    """Asks for one; when its first sound came. The greeting is talked over: it has no part in this."""
    media = phone.media
    await media.until_silence(phone.answered, LONGEST_ANSWER_S, END_OF_ANSWER_S)
    said = media.say(callers.long_question(rng))
    await said.over.wait()
    return await media.until_speech(said.ended, LONGEST_WAIT_S)


async def interrupted(phone: PhoneCall, sound: Samples, begun: float) -> float | None:
    """Seconds from the caller's first sound to the agent's last; None when it spoke on."""
    del begun
    said = phone.media.say(sound)
    await said.over.wait()
    clock = asyncio.get_running_loop().time
    while clock() < said.began + STOPS_WITHIN_S:
        if (stopped := silence_after(phone.media, said.began, clock())) is not None:
            return stopped - said.began
        await asyncio.sleep(0.02)
    return None


def silence_after(media: Media, since: float, now: float) -> float | None:
    """When the voice that was heard at ``since`` ended, if it has been silent for long enough."""
    last = media.last_voice(since) or since
    for start, end in media.voice:
        if end <= last:
            continue
        if start - last >= SILENT_S:
            break
        last = end
    return last if now - last >= SILENT_S else None


class FalseStops:
    """Sounds that are no words, in the middle of a long answer."""

    def __init__(self, made: Bed, callers: Callers, seed: int) -> None:
        self._bed = made
        self._callers = callers
        self._noise = line_noise(seed)
        self._seed = seed
        self.counts: dict[tuple[str, str], Counter[str]] = {}

    async def run(self, name: str, kind: str, times: int) -> None:
        rng = random.Random(f"{self._seed} {kind}")
        counts = self.counts.setdefault((name, kind), Counter())
        for _ in range(times):
            sound = cough(rng) if kind == "cough" else self._callers.backchannel(rng)
            with contextlib.suppress(FleetError):
                await self._one(name, sound, rng, counts)

    async def _one(self, name: str, sound: Samples, rng: random.Random, counts: Counter[str]) -> None:
        async with call(self._bed.sip, self._bed.numbers[name], self._noise) as phone:
            await phone.greeting()
            await long_answer(phone, self._callers, rng)
            await asyncio.sleep(rng.uniform(*INTO_SPEECH_S))
            counts["tries"] += 1
            stopped = await interrupted(phone, sound, 0.0)
            if stopped is None or stopped > RESUMES_WITHIN_S:
                return
            counts["paused"] += 1
            went_on = phone.media.onset(asyncio.get_running_loop().time() - 0.02)
            try:
                if went_on is None:
                    await phone.media.until_speech(asyncio.get_running_loop().time(), RESUMES_WITHIN_S)
            except FleetError:
                counts["gave up"] += 1


def beyond_echo(trial_seconds: list[float], way: list[float], where: str, seed: int) -> Figure:
    """Ours less the median of the way there and back."""
    echo_s = statistics.quantile(way, 0.5)
    values = [1000 * (one - echo_s) for one in trial_seconds]
    return Figure(
        title=f"ours beyond the echo, {where}",
        unit="ms",
        p50=statistics.spread(values, seed),
        p95=statistics.p95(values),
        goal=Goal(of="p50", limit=GOAL_BEYOND_ECHO_MS),
    )


async def collect(made: Bed, callers: Callers, options: command.Options) -> Findings:
    blocks, units = (1, 1) if options.quick else (BLOCKS, UNITS)
    findings = Findings()
    way: list[float] = []
    sounds = callers.questions("echo")

    async def floor(units: int) -> Batch:
        found = await echo(made, sounds, units + 2)
        way.extend(found)
        return Batch(units, tuple(found))

    peers = (STOCK,) if options.quick else (STOCK, TUNED)
    for where in (ANSWER,) if options.quick else (ANSWER, AT_GREETING):
        barging = Barging(made, callers, options.seed, where)
        sides = [*(barging.side(name) for name in (OURS, *peers)), Side(FLOOR, "floor", floor)]
        trial = await interleave(sides, units=units, blocks=blocks)
        claims = [Against(TITLES[name], LATENCY, 0.40 if name == STOCK else None) for name in peers]
        findings.cases.append(
            trial.case(f"caller's first sound to silence, {where}", "interruption", claims, options.seed)
        )
        findings.figures.append(beyond_echo(trial.seconds(TITLES[OURS]), way, where, options.seed))
        for name, flaws in barging.flaws.items():
            findings.notes.append(f"{TITLES[name]}, {where}: spoke on in {flaws['never']} of {flaws['tries']}.")
    findings.notes += await false_stops(made, callers, options)
    return findings


async def measure(options: command.Options, start: command.Start) -> int:
    return await on_a_bed(NAME, collect, options, start, GREETING)


async def false_stops(made: Bed, callers: Callers, options: command.Options) -> list[str]:
    stops = FalseStops(made, callers, options.seed)
    times = 1 if options.quick else NOISES
    for kind in ("cough",) if options.quick else ("cough", "mm-hm"):
        for name in (OURS,) if options.quick else (OURS, STOCK):
            await stops.run(name, kind, times)
    return [
        f"{kind}, {TITLES[name]}: {counts['paused']} of {counts['tries']} made a pause of {SILENT_S:g} s or more, "
        f"{counts['gave up']} ended the answer."
        for (name, kind), counts in stops.counts.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    return command.run("Barge-in at the caller.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
