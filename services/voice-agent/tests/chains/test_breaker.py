"""Resting links: out of the way, asked in the background, back when they work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from livekit.agents import APIConnectionError, APIStatusError, APITimeoutError
from voice_agent.chains.breaker import REST_SECONDS, Breaker
from voice_agent.chains.faults import LinkFailed, fault_of

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Link:
    endpoint: str


FIRST, SECOND = Link("first"), Link("second")


async def test_a_failed_link_rests_longer_each_time_and_comes_back_when_it_works() -> None:
    slept: list[float] = []
    wake = asyncio.Event()
    answers = [False, ConnectionError("still away"), True]
    asked = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await wake.wait()

    async def probe() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if answer:
            asked.set()
        return bool(answer)

    breaker = Breaker(sleep=sleep)
    breaker.rest("first", probe)
    breaker.rest("first", probe)
    assert breaker.usable([FIRST, SECOND]) == [SECOND]
    wake.set()
    await asked.wait()
    await asyncio.sleep(0)
    assert breaker.usable([FIRST, SECOND]) == [FIRST, SECOND]
    assert slept == [REST_SECONDS, 2 * REST_SECONDS, 4 * REST_SECONDS]
    await breaker.aclose()


def chained(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), "timeout"),
        (APITimeoutError(), "timeout"),
        (APIStatusError("x", status_code=429), "rate_limited"),
        (APIStatusError("x", status_code=401), "refused"),
        (APIStatusError("x", status_code=503), "refused"),
        (APIStatusError("closed", status_code=1006), "reset"),
        (APIStatusError("closed", status_code=1000), "cut_off"),
        (APIStatusError("closed", status_code=-1), "reset"),
        (chained(APIConnectionError(), ConnectionRefusedError()), "refused"),
        (chained(APIConnectionError(), ConnectionResetError()), "reset"),
        (chained(APIConnectionError(), ValueError("not JSON")), "bad_answer"),
        (APIConnectionError(), "reset"),
        (RuntimeError("x"), "bad_answer"),
        (LinkFailed("cut_off"), "cut_off"),
    ],
)
def test_errors_have_the_records_words(error: Exception, kind: str) -> None:
    assert fault_of(error) == kind
