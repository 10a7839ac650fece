"""The queue of facts and what stands behind it, where a broker is not needed to try them."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any, cast

import pytest
from switchboard.bus import Message
from switchboard.bus.envelope import encode_fact
from switchboard.clock import SystemClock
from switchboard.contracts import calls
from switchboard.contracts.base import CallFact, Service
from switchboard.errors import Unavailable
from switchboard.ids import Ids
from switchboard.sealed import DataKey
from voice_agent.calls import facts as module
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.replay import Replay
from voice_agent.calls.spool import Spool, SpoolFile
from voice_agent.erasers import erasers

pytestmark = pytest.mark.unit


TENANT, CALL = uuid.uuid4(), uuid.uuid4()


class Broker:
    """``breaks`` is the number of the fact that can't be written down; nothing is taken while ``away``."""

    def __init__(self, breaks: int = 0, *, away: bool = False) -> None:
        self.ids = Ids(SystemClock())
        self.breaks = breaks
        self.away = away
        self.got: list[CallFact] = []
        self.sent: list[uuid.UUID] = []

    async def publish_fact(self, fact: CallFact, message_id: uuid.UUID) -> None:
        if fact.seq == self.breaks:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        if self.away:
            raise Unavailable
        self.got.append(fact)
        self.sent.append(message_id)

    async def encode(self, fact: CallFact, message_id: uuid.UUID) -> Message:
        return encode_fact(fact, message_id, Service.VOICE_AGENT, DataKey(bytes(32), TENANT.hex))

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str], msg_id: str) -> None:
        if self.away:
            raise Unavailable
        self.sent.append(uuid.UUID(hex=msg_id))


def queue(broker: Broker, spool: Spool) -> CallFacts:
    return CallFacts(cast("Any", broker), spool, SystemClock(), TENANT, CALL, epoch=1)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 1_000_000)


def replay(spool: Spool, broker: Broker) -> Replay:
    return Replay(spool, cast("Any", broker))


async def test_a_fact_that_can_not_be_written_down_holds_back_no_other(spool: Spool) -> None:
    broker = Broker(breaks=1)
    facts = queue(broker, spool)
    facts.answered("RM_1", 1)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(2)
    assert [type(fact) for fact in broker.got] == [calls.CallEnded]


async def test_the_end_of_a_call_finds_room_in_a_full_queue(monkeypatch: pytest.MonkeyPatch, spool: Spool) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 1)
    broker = Broker()
    facts = queue(broker, spool)
    facts.answered("RM_1", 1)
    facts.answered("RM_1", 1)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(2)
    assert [type(fact) for fact in broker.got] == [calls.CallAnswered, calls.CallEnded]


async def test_what_the_broker_could_not_take_is_sent_when_the_job_is_gone(spool: Spool) -> None:
    broker = Broker(away=True)
    facts = queue(broker, spool)
    facts.answered("RM_1", 1)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(5)
    assert spool.size() > 0
    await replay(spool, broker).once()  # still away: it stays
    broker.away = False
    await replay(spool, broker).once()
    assert len(broker.sent) == 2
    assert spool.size() == 0


async def test_the_spool_keeps_the_order_of_the_facts(spool: Spool) -> None:
    broker = Broker(away=True)
    facts = queue(broker, spool)
    for version in range(1, 20):
        facts.answered("RM_1", version)
    await facts.flush(5)
    (file,) = spool.left()
    ids = [message.id for message in file.messages()]
    file.close()
    assert len(ids) == 19
    broker.away = False
    await replay(spool, broker).once()
    assert broker.sent == ids


async def test_a_call_that_goes_on_sends_its_facts_itself_and_leaves_nothing_behind(spool: Spool) -> None:
    broker = Broker(away=True)
    facts = queue(broker, spool)
    facts.answered("RM_1", 1)
    async with asyncio.timeout(5):
        while not spool.size():
            await asyncio.sleep(0)
    await replay(spool, Broker()).once()
    assert list(spool.left()) == []  # nobody else may send what a living call holds
    broker.away = False
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    async with asyncio.timeout(5):
        while len(broker.got) < 2:
            await asyncio.sleep(0.01)
    await facts.flush(5)
    assert [fact.seq for fact in broker.got] == [1, 2]
    assert spool.size() == 0


async def test_a_full_spool_takes_the_end_of_a_call_and_nothing_else(tmp_path: Path) -> None:
    full, broker = Spool(tmp_path, 1), Broker(away=True)
    (tmp_path / "other.facts").write_bytes(b"xx")
    facts = queue(broker, full)
    facts.answered("RM_1", 1)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(0.1)
    (path,) = full.of_tenant(TENANT)
    taken = SpoolFile.take(path)
    assert taken is not None
    assert [message.subject.rsplit(".", 1)[1] for message in taken.messages()] == ["ended"]
    taken.close()


async def test_a_line_that_a_crash_cut_short_costs_only_itself(spool: Spool) -> None:
    broker = Broker(away=True)
    facts = queue(broker, spool)
    facts.answered("RM_1", 1)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(5)
    (path,) = spool.of_tenant(TENANT)
    path.write_bytes(path.read_bytes()[:-40])
    broker.away = False
    await replay(spool, broker).once()
    assert len(broker.sent) == 1
    assert spool.size() == 0


async def test_erasing_a_tenant_erases_what_waits_of_it(spool: Spool, tmp_path: Path) -> None:
    facts = queue(Broker(away=True), spool)
    facts.ended("RM_1", calls.EndReason.CALLER_HUNG_UP)
    await facts.flush(5)
    eraser = next(one for one in erasers(tmp_path / "models", spool) if one.store == "call-spool")
    assert await eraser.erase(uuid.uuid4()) == 0
    assert spool.size() > 0
    assert await eraser.erase(TENANT) == 1
    assert spool.size() == 0


async def test_erasing_a_tenant_erases_the_models_of_its_words(spool: Spool, tmp_path: Path) -> None:
    models = tmp_path / "models"
    others = uuid.uuid4()
    for tenant in (TENANT, others):
        (models / tenant.hex / "1").mkdir(parents=True)
        (models / tenant.hex / "1" / "words.lm").write_text("words")
    eraser = next(one for one in erasers(models, spool) if one.store == "speech-models")
    assert await eraser.erase(uuid.uuid4()) == 0
    assert await eraser.erase(TENANT) == 1
    assert [folder.name for folder in models.iterdir()] == [others.hex]
    assert await eraser.erase(TENANT) == 0
