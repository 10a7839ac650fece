"""The spool of facts, where a broker is not needed to try it."""

from __future__ import annotations

import uuid
from typing import Any, cast

import pytest
from switchboard.clock import SystemClock
from switchboard.contracts import calls
from switchboard.contracts.base import CallFact
from switchboard.ids import Ids
from voice_agent.calls import facts as module
from voice_agent.calls.facts import CallFacts

pytestmark = pytest.mark.unit


class Broker:
    """``breaks`` is the number of the fact that can't be written down."""

    def __init__(self, breaks: int = 0) -> None:
        self.ids = Ids(SystemClock())
        self.breaks = breaks
        self.got: list[CallFact] = []

    async def publish_fact(self, fact: CallFact, message_id: uuid.UUID) -> None:
        if fact.seq == self.breaks:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        self.got.append(fact)


def spool(broker: Broker) -> CallFacts:
    return CallFacts(cast("Any", broker), SystemClock(), uuid.uuid4(), uuid.uuid4(), epoch=1)


async def test_a_fact_that_can_not_be_written_down_holds_back_no_other() -> None:
    broker = Broker(breaks=1)
    facts = spool(broker)
    facts.answered("RM_1", 1, degraded=False)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(2)
    assert [type(fact) for fact in broker.got] == [calls.CallEnded]


async def test_the_end_of_a_call_finds_room_in_a_full_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPOOL_LIMIT", 1)
    broker = Broker()
    facts = spool(broker)
    facts.answered("RM_1", 1, degraded=False)
    facts.answered("RM_1", 1, degraded=False)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(2)
    assert [type(fact) for fact in broker.got] == [calls.CallAnswered, calls.CallEnded]
