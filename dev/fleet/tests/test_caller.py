"""The caller against a second baresip that answers: real SIP, real RTP, no LiveKit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from fleet.caller import Caller, CallFailed, PhoneLine, phone
from fleet.judge import Judge, interrupted
from fleet.ports import PortPool
from fleet.speech import CALLER, Samples, Synthesizer, Voice, read_wav
from fleet.voice_activity import in_samples

pytestmark = pytest.mark.integration

AGENT = Voice("en-us", 165, 50)
ANSWER = "The root canal costs 450 dollars, and it takes about an hour. Please come ten minutes early."


class AnsweringLine(PhoneLine):
    """A line that picks up by itself."""

    def account(self) -> str:
        return super().account().strip() + ";answermode=auto\n"


@asynccontextmanager
async def two_phones(folder: Path) -> AsyncIterator[tuple[Caller, Caller, str]]:
    with PortPool() as ports:
        async with phone(folder / "agent", ports, AnsweringLine("agent")) as agent:
            uri = f"sip:agent@127.0.0.1:{agent.sip_port}"
            async with phone(folder / "caller", ports, PhoneLine("15557777")) as caller:
                yield caller, agent, uri


def spoken(folder: Path, text: str, voice: Voice) -> Samples:
    return Synthesizer(folder / "speech").speak(text, voice)


async def test_both_directions_are_heard_live_and_judged(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (caller, agent, uri):
        await caller.dial(uri)
        question = spoken(tmp_path, "how much is a root canal please", CALLER)
        began = await caller.say(question)
        heard_at = await agent.heard.until_speech(began - 0.1, timeout=5)
        assert heard_at - began < 0.3
        ended = await caller.said.until_silence(began, timeout=10)
        # As long as the sentence, without its leading and trailing silence.
        assert ended - began == pytest.approx(in_samples(question)[0].seconds, abs=0.15)
        await agent.say(spoken(tmp_path, ANSWER, AGENT))
        answer_began = await caller.heard.until_speech(ended, timeout=5)
        answer_ended = await caller.heard.until_silence(answer_began, timeout=20)
        heard = caller.heard.samples(answer_began - 0.1, answer_ended + 0.1)
        await caller.hang_up()
        recording = caller.recording
    assert recording is not None
    assert read_wav(recording).size > heard.size
    others = [ANSWER.replace("450", price) for price in ("350", "460", "415")] + [
        ANSWER.replace("root canal", "night guard")
    ]
    verdict = Judge(Synthesizer(tmp_path / "speech"), AGENT).choose(heard, ANSWER, others)
    assert verdict.ok, verdict.reason
    assert verdict.margin > 0.01


async def test_an_interrupted_agent_falls_silent_and_a_stubborn_one_does_not(tmp_path: Path) -> None:
    answer = spoken(tmp_path, ANSWER, AGENT)
    stop = spoken(tmp_path, "sorry, wait a moment, I have another question about the opening hours", CALLER)
    for obeys in (True, False):
        async with two_phones(tmp_path / str(obeys)) as (caller, agent, uri):
            await caller.dial(uri)
            began = await agent.say(answer)
            await caller.heard.until_speech(began, timeout=5)
            cut = await caller.say(stop)
            if obeys:
                await agent.heard.until_speech(cut - 0.1, timeout=5)
                await agent.hush()
            await caller.said.until_silence(cut, timeout=20)
            await caller.heard.until_silence(cut, timeout=20)
            verdict = interrupted(caller.heard, caller.said.utterances(cut - 0.05)[0], full_length=5.0)
        assert verdict.ok is obeys, verdict.reason


async def test_silence_is_heard_as_silence(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (caller, _agent, uri):
        await caller.dial(uri)
        assert caller.established_at is not None
        await caller.heard.until_silence(caller.established_at, timeout=5)
        heard = caller.heard.samples(0.0)
    assert heard.size > 1600
    verdict = Judge(Synthesizer(tmp_path / "speech"), AGENT).choose(heard, ANSWER, [])
    assert verdict.reason == "nothing was heard"


async def test_what_is_said_is_cut_off_by_the_next(tmp_path: Path) -> None:
    long = (3000 * np.sin(2 * np.pi * 300 * np.arange(80_000) / 8000)).astype(np.int16)
    async with two_phones(tmp_path) as (caller, _agent, uri):
        await caller.dial(uri)
        began = await caller.say(long)
        await caller.hush()
        ended = await caller.said.until_silence(began, timeout=5)
        assert ended - began < 2.0


async def test_a_refused_call_says_why(tmp_path: Path) -> None:
    with PortPool() as ports:
        async with phone(tmp_path, ports, PhoneLine("15557777")) as caller:
            # Its own account has another user part: 404 from a real SIP stack.
            with pytest.raises(CallFailed, match=r"not answered: .*404"):
                await caller.dial(f"sip:nobody@127.0.0.1:{caller.sip_port}")


async def test_nobody_there(tmp_path: Path) -> None:
    with PortPool() as ports:
        async with phone(tmp_path, ports, PhoneLine("15557777")) as caller:
            with pytest.raises(CallFailed, match=r"not answered within 0\.3 s"):
                await caller.dial(f"sip:1@127.0.0.1:{ports.one()}", timeout=0.3)


async def test_the_far_end_hanging_up_ends_every_wait(tmp_path: Path) -> None:
    async with two_phones(tmp_path) as (caller, agent, uri):
        await caller.dial(uri)
        waiting = asyncio.create_task(caller.heard.until_speech(0.0, timeout=20))
        await agent.hang_up()
        assert "reset" in await asyncio.wait_for(caller.closed, 5)
        with pytest.raises(Exception, match="the call ended"):
            await waiting
