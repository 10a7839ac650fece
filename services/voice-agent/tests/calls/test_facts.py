"""The facts of a call on a real broker: in order, once, also when the broker was away in between."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.bus import Delivery
from switchboard.clock import SystemClock
from switchboard.contracts import calls
from switchboard.contracts.base import CallFact, Service
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.spool import Spool
from voice_agent.conversation.models import Heard, OpenTurn, TurnDone

pytestmark = pytest.mark.integration


def turn(number: int) -> TurnDone:
    opened = OpenTurn(
        utterance=number, kind="answered", caller=(Heard(text=f"question {number}", confidence=0.5),), saying="Answer."
    )
    return TurnDone(turn=number, open=opened, heard="Ans", interrupted=True)


async def test_facts_survive_a_broker_that_was_away_in_order_and_once(bus_server: BusServer, tmp_path: Path) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id, call_id = tenant_svc.ids.new(), tenant_svc.ids.new()
    await tenant_svc.keyring.publish(tenant_id, tenant_svc.keyring.create(tenant_id))
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    got: list[CallFact] = []
    done = asyncio.Event()

    async def take(fact: CallFact, delivery: Delivery) -> None:
        got.append(fact)
        if isinstance(fact, calls.CallEnded):
            done.set()

    orchestrator.consume(
        {
            calls.CallAnswered: take,
            calls.TurnRecorded: take,
            calls.ConversationSaved: take,
            calls.CallEnded: take,
        }
    )
    facts = CallFacts(agent, Spool(tmp_path / "spool", 1_000_000), SystemClock(), tenant_id, call_id, epoch=3)
    facts.answered("RM_1", 7)
    facts.turn(turn(0), "{}")
    await agent.keyring.cipher(tenant_id)
    await bus_server.host.akill("nats")
    facts.turn(turn(1), "{}")
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await bus_server.host.arevive("nats")
    await asyncio.wait_for(done.wait(), 30)  # the job lives on, so it sends them itself
    await facts.flush(30)

    by_seq = {fact.seq: fact for fact in got}
    assert sorted(by_seq) == [1, 2, 3, 4, 5, 6]
    assert {fact.epoch for fact in got} == {3}
    recorded = by_seq[4]
    assert isinstance(recorded, calls.TurnRecorded)
    assert (recorded.turn, recorded.agent_said, recorded.agent_heard, recorded.interrupted) == (
        1,
        "Answer.",
        "Ans",
        True,
    )
    assert recorded.caller_said[0].text == "question 1"
