"""A call with questions, and what of each turn is measured at the caller."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from fleet.process import FleetError
from fleet.speech import Samples

from bench.peer import ECHO
from bench.voice.bed import Bed
from bench.voice.phone import NotAnswered, PhoneCall, call

LONGEST_WAIT_S = 10.0
LONGEST_ANSWER_S = 20.0
END_OF_ANSWER_S = 0.6
"""Silence that ends an answer; espeak-ng pauses up to 0.41 s within one."""

ECHO_TRIES = 4
"""A worker whose warm processes are all taken says so, as to a caller."""

BREATH_S = 0.3
"""A person's pause before the next question."""


@dataclass
class Turns:
    """What came of the questions of one call. Times in seconds."""

    answered_after: float = 0.0
    first_audio_after: float = 0.0
    voice_to_voice: list[float] = field(default_factory=list)
    cut_off: int = 0
    """Turns in which the agent spoke before the caller had finished."""
    silent: int = 0
    """Turns without an answer."""
    late: list[float] = field(default_factory=list)
    """How late each of the caller's frames went out."""


async def talk(bed: Bed, side: str, questions: Iterator[Samples], count: int, noise: Samples) -> Turns:
    """Greeting, `count` questions, hang up. NotAnswered when nobody takes the call."""
    turns = Turns()
    async with call(bed.sip, bed.numbers[side], noise) as phone:
        greeted = await phone.greeting()
        turns.answered_after, turns.first_audio_after = phone.answered - phone.invited, greeted - phone.invited
        await phone.media.until_silence(greeted, LONGEST_ANSWER_S, END_OF_ANSWER_S)
        for _ in range(count):
            await ask(phone, next(questions), turns)
    turns.late = phone.media.late
    return turns


async def ask(phone: PhoneCall, question: Samples, turns: Turns) -> None:
    """One turn: from the caller's last voiced sample to the agent's first."""
    media = phone.media
    await asyncio.sleep(BREATH_S)
    said = media.say(question)
    await said.over.wait()
    if media.onset(said.began) is not None:
        turns.cut_off += 1
        with contextlib.suppress(FleetError):
            await media.until_silence(said.ended, LONGEST_ANSWER_S, END_OF_ANSWER_S)
        return
    try:
        heard = await media.until_speech(said.ended, LONGEST_WAIT_S)
    except FleetError:
        turns.silent += 1
        return
    turns.voice_to_voice.append(heard - said.ended)
    await media.until_silence(heard, LONGEST_ANSWER_S, END_OF_ANSWER_S)


async def echo(bed: Bed, sounds: Iterator[Samples], count: int) -> list[float]:
    """How long the way there and back takes: onset to onset, in seconds."""
    for _ in range(ECHO_TRIES):
        with contextlib.suppress(NotAnswered):
            return await _echo(bed, sounds, count)
    raise NotAnswered("the echo does not answer")


async def _echo(bed: Bed, sounds: Iterator[Samples], count: int) -> list[float]:
    found: list[float] = []
    async with call(bed.sip, bed.numbers[ECHO]) as phone:
        # Jitter buffers settle with the first sounds, as an agent's do during its greeting.
        for at in range(count + 1):
            said = phone.media.say(next(sounds))
            heard = await phone.media.until_speech(asyncio.get_running_loop().time(), LONGEST_WAIT_S)
            await said.over.wait()
            if at:
                found.append(heard - said.began)
            await phone.media.until_silence(said.ended, LONGEST_ANSWER_S, END_OF_ANSWER_S)
    return found
