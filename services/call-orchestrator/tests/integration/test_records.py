"""From admission to the record, on real PostgreSQL and NATS with each service's own rights."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from call_orchestrator.calls.facts import PROVIDER_FAULTS
from call_orchestrator.testing import CALLER, NUMBER, Rig, admit_request, rig
from fleet.bus_fixtures import BusServer
from switchboard.contracts.base import CallFact
from switchboard.contracts.calls import (
    CallAnswered,
    CallEnded,
    CallRecord,
    CallState,
    ConversationSaved,
    DecidedAlone,
    DecisionReason,
    EndReason,
    Hypothesis,
    Outcome,
    PassageUsed,
    TurnRecorded,
    TurnTimings,
)
from switchboard.contracts.providers import ProviderFault
from switchboard.contracts.snapshot import PLATFORM_TRUNK
from switchboard.degraded import degraded_call_id, degraded_epoch
from switchboard.errors import NotFound
from switchboard.sealed import Sealed
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PASSAGE = UUID("0195a1f2-0000-7000-8000-000000000001")


@pytest_asyncio.fixture
async def running(bus_server: BusServer, migrated: MigratedDatabase, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig(bus_server, migrated.settings("call_orchestrator"), tmp_path) as made:
        yield made


async def eventually(
    read: Callable[[], Awaitable[CallRecord]], wanted: Callable[[CallRecord], bool], seconds: float = 15.0
) -> CallRecord:
    """The record once it is as ``wanted``; the last one seen is in the error."""
    seen: CallRecord | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                with suppress(NotFound):  # a call that nobody admitted comes with its first fact
                    seen = await read()
                    if wanted(seen):
                        return seen
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not as wanted within {seconds} s: {seen!r}") from None


async def count(running: Rig, tenant_id: UUID, query: str) -> int:
    async with running.db.tenant(tenant_id) as conn:
        return int(await conn.fetchval(query))


async def until(read: Callable[[], Awaitable[int]], wanted: int, seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while await read() != wanted:
            await asyncio.sleep(0.02)


FAULTS = (
    ProviderFault(stage="llm", endpoint="openai-main", fault="timeout", served_by="openai-spare"),
    ProviderFault(stage="tts", endpoint="voice-a", fault="cut_off"),
)


def facts_of(tenant_id: UUID, call_id: UUID, room_sid: str, epoch: int, turns: int, base: datetime) -> list[CallFact]:
    """What a job says in one call: answered, turns with saved states, ended."""
    made: list[CallFact] = []

    def head(offset: float) -> dict[str, object]:
        return {
            "tenant_id": tenant_id,
            "call_id": call_id,
            "epoch": epoch,
            "seq": len(made) + 1,
            "at": base + timedelta(seconds=offset),
        }

    made.append(CallAnswered.model_validate({**head(0), "room_sid": room_sid, "configuration_version": 1}))
    for number in range(turns):
        said = Sealed(f"answer {number}")
        passage = PassageUsed(
            passage_id=PASSAGE,
            document_id=PASSAGE,
            document_name=Sealed("prices.pdf"),
            heading=Sealed("Prices"),
            text=Sealed("Cleaning 80"),
            score=0.9,
            cited=True,
        )
        turn = {
            **head(1 + number),
            "turn": number,
            "kind": "answered",
            "caller_said": (Hypothesis(text=Sealed(f"question {number}"), confidence=0.8),),
            "agent_said": said,
            "agent_heard": Sealed(said[:6]),
            "interrupted": True,
            "passages": (passage,),
            "timings": TurnTimings(speech_ended=base, first_audio=base + timedelta(milliseconds=700)),
            "faults": FAULTS[:number],
        }
        made.append(TurnRecorded.model_validate(turn))
        saved = {**head(1 + number), "turn": number, "state": Sealed(f"state {number}")}
        made.append(ConversationSaved.model_validate(saved))
    ended = {**head(10 + turns), "room_sid": room_sid, "reason": EndReason.CALLER_HUNG_UP}
    made.append(CallEnded.model_validate(ended))
    return made


async def test_an_admitted_call_and_its_facts_become_a_record(running: Rig) -> None:
    tenant_id = await running.tenant()
    fault = FAULTS[0]
    counted = PROVIDER_FAULTS.labels(fault.stage, fault.endpoint, fault.fault)
    at_first = counted._value.get()

    admitted = await running.admit("RM_1")
    before = await running.record(tenant_id, admitted.call_id)
    for fact in facts_of(tenant_id, admitted.call_id, "RM_1", admitted.epoch, 2, NOW):
        await running.agent.publish_fact(fact)
    record = await eventually(
        lambda: running.record(tenant_id, admitted.call_id),
        lambda found: found.summary.state is CallState.ENDED and len(found.turns) == 2,
    )

    assert (admitted.epoch, admitted.degraded, admitted.decision.outcome) == (1, False, Outcome.TALK)
    assert before.summary.state is CallState.ADMITTED
    assert record.summary.end_reason is EndReason.CALLER_HUNG_UP
    assert record.summary.answered_at == NOW
    assert (record.summary.dialled, record.summary.caller) == (NUMBER, CALLER)
    first = record.turns[0]
    assert (first.caller_said[0].text, first.agent_said, first.agent_heard) == ("question 0", "answer 0", "answer")
    assert first.passages[0].text == "Cleaning 80" and first.passages[0].cited
    assert first.timings.first_audio == NOW + timedelta(milliseconds=700)
    assert [turn.faults for turn in record.turns] == [(), FAULTS[:1]]
    assert counted._value.get() == at_first + 1


def alone(room_sid: str, outcome: Outcome, reason: DecisionReason) -> DecidedAlone:
    """What a job says of a call that its worker decided about."""
    return DecidedAlone(
        request=admit_request(room_sid), outcome=outcome, reason=reason, evidence={"live_calls": 0},
        max_call_seconds=900, configuration_version=1,
    )  # fmt: skip


@pytest.mark.parametrize("order", ["as said", "the end first"])
async def test_a_call_that_a_job_decided_alone_has_the_record_of_any_other(running: Rig, order: str) -> None:
    tenant_id = await running.tenant()
    call_id, epoch = degraded_call_id("RM_alone"), degraded_epoch(NOW)
    answered, turn, saved, ended = facts_of(tenant_id, call_id, "RM_alone", epoch, 1, NOW)
    told = alone("RM_alone", Outcome.TALK, DecisionReason.OPEN)
    facts = [answered.model_copy(update={"degraded": True, "alone": told}), turn, saved, ended]
    for fact in facts if order == "as said" else reversed(facts):
        await running.agent.publish_fact(fact)
    record = await eventually(
        lambda: running.record(tenant_id, call_id),
        lambda found: (
            found.summary.state is CallState.ENDED and bool(found.turns) and found.summary.dialled is not None
        ),
    )
    summary = record.summary
    assert (summary.dialled, summary.caller, summary.outcome) == (NUMBER, CALLER, Outcome.TALK)
    assert (summary.end_reason, summary.answered_at) == (EndReason.CALLER_HUNG_UP, NOW)
    async with running.db.tenant(tenant_id) as conn:
        row = await conn.fetchrow("SELECT trunk, job_id, degraded, decision FROM calls.calls")
    assert row is not None
    assert (row["trunk"], row["job_id"], row["degraded"]) == (PLATFORM_TRUNK, "AJ_RM_alone", True)
    assert row["decision"]["max_call_seconds"] == 900


async def test_a_call_that_a_job_refused_alone_says_whose_it_was(running: Rig) -> None:
    tenant_id = await running.tenant()
    call_id = degraded_call_id("RM_refused")
    fact = CallEnded(
        tenant_id=tenant_id, call_id=call_id, epoch=degraded_epoch(NOW), seq=1, at=NOW, room_sid="RM_refused",
        reason=EndReason.OUTSIDE_HOURS, alone=alone("RM_refused", Outcome.REFUSE, DecisionReason.OUTSIDE_HOURS),
    )  # fmt: skip
    await running.agent.publish_fact(fact)
    record = await eventually(
        lambda: running.record(tenant_id, call_id), lambda found: found.summary.dialled is not None
    )
    assert (record.summary.dialled, record.summary.outcome) == (NUMBER, Outcome.REFUSE)
    assert record.summary.end_reason is EndReason.OUTSIDE_HOURS


async def test_a_turn_told_again_tells_its_faults_again(running: Rig) -> None:
    tenant_id = await running.tenant()
    admitted = await running.admit("RM_f")
    answered, turn, *_ = facts_of(tenant_id, admitted.call_id, "RM_f", admitted.epoch, 1, NOW)
    await running.agent.publish_fact(answered)
    await running.agent.publish_fact(turn)
    assert isinstance(turn, TurnRecorded)
    later = turn.model_copy(update={"seq": 9, "faults": FAULTS})
    await running.agent.publish_fact(later)

    record = await eventually(
        lambda: running.record(tenant_id, admitted.call_id), lambda found: bool(found.turns and found.turns[0].faults)
    )

    assert [turn.faults for turn in record.turns] == [FAULTS]


async def test_facts_in_any_order_and_many_times_make_the_same_record_once(
    running: Rig, migrated: MigratedDatabase
) -> None:
    tenant_id = await running.tenant()
    admitted = await running.admit("RM_2")
    facts = facts_of(tenant_id, admitted.call_id, "RM_2", admitted.epoch, 4, NOW)
    shuffled = facts * 3
    random.Random(7).shuffle(shuffled)

    await asyncio.gather(*(running.agent.publish_fact(fact) for fact in shuffled))
    await until(lambda: count(running, tenant_id, "SELECT count(*) FROM calls.call_events WHERE source = 'agent'"), 10)
    record = await running.record(tenant_id, admitted.call_id)

    assert [turn.turn for turn in record.turns] == [0, 1, 2, 3]
    assert record.summary.ended_at == NOW + timedelta(seconds=14)
    async with running.db.tenant(tenant_id) as conn:
        closed = await conn.fetchval("SELECT count(*) FROM calls.outbox WHERE subject LIKE '%.closed'")
        opened = await conn.fetchval("SELECT count(*) FROM calls.outbox WHERE subject LIKE '%.opened'")
        usage = await conn.fetch("SELECT quantity FROM calls.usage")
        state = await conn.fetchval("SELECT state FROM calls.conversations")
    assert (opened, closed, [row["quantity"] for row in usage], state) == (1, 1, [14.0], "state 3")
