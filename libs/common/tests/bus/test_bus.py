"""The bus on a real server, with each service's own permissions."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import nats.errors
import pytest
from fleet.bus_fixtures import BusServer, new_tenant, turn
from nats.aio.msg import Msg
from switchboard.bus import Call, Delivery, deadletters
from switchboard.bus.connection import connect
from switchboard.contracts import calls, documents, tenants
from switchboard.contracts.base import Actor, Empty, Service
from switchboard.errors import (
    DeadlineExceeded,
    FieldProblem,
    Forbidden,
    InvalidId,
    InvalidInput,
    NoResponder,
    NotFound,
)
from switchboard.ids import parse_token
from switchboard.sealed import Sealed, SealError

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def _never(body: Empty, call: Call) -> tenants.Published:
    raise AssertionError("must not be reached")


async def test_a_request_carries_tenant_actor_and_body(bus_server: BusServer) -> None:
    """The handler sees the subject's tenant, the caller's actor and the opened body; the reply comes back opened."""
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    rag = await bus_server.connect(Service.RAG_SVC)
    gateway = await bus_server.connect(Service.API_GATEWAY)
    seen: list[Call] = []

    async def handler(body: documents.Search, call: Call) -> documents.SearchReply:
        seen.append(call)
        passage = documents.Passage(
            passage_id=tenant_id,
            document_id=tenant_id,
            document_name=Sealed("prices.pdf"),
            heading=Sealed("Prices"),
            text=Sealed(str(body.queries[0]).upper()),
            score=1.0,
            similarity=0.9,
        )
        return documents.SearchReply(passages=(passage,), timings=documents.SearchTimings(embed_ms=1.0, query_ms=2.0))

    await rag.serve(documents.SEARCH, handler)
    await rag.flush()
    actor = Actor(kind="api_key", id="k1", tenant_id=tenant_id, roles=("owner",))

    reply = await gateway.request(
        documents.SEARCH, documents.Search(queries=(Sealed("velora"),)), tenant_id=tenant_id, actor=actor
    )

    assert reply.passages[0].text == "VELORA"
    assert seen[0].tenant_id == tenant_id
    assert seen[0].actor == actor
    assert seen[0].source == "api-gateway"


async def test_a_reply_does_not_carry_the_requests_headers(
    bus_server: BusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py's own way to answer sends them all back, actor and trace too, and they cost more than a short answer."""
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    gateway = await bus_server.connect(Service.API_GATEWAY)
    replies: list[Msg] = []
    asked = gateway._client.request

    async def kept(subject: str, *args: Any, **kwargs: Any) -> Msg:
        reply = await asked(subject, *args, **kwargs)
        if subject.startswith("rpc."):  # the bucket of keys is asked in the same way
            replies.append(reply)
        return reply

    async def handler(body: Empty, call: Call) -> tenants.TrunkList:
        return tenants.TrunkList(trunks=())

    monkeypatch.setattr(gateway._client, "request", kept)
    tenant_id = await new_tenant(tenant_svc)
    await tenant_svc.serve(tenants.LIST_TRUNKS, handler)
    await tenant_svc.flush()

    assert await gateway.request(tenants.LIST_TRUNKS, Empty(), tenant_id=tenant_id) == tenants.TrunkList(trunks=())

    assert [not reply.headers for reply in replies] == [True]


async def test_a_servers_error_reaches_its_caller_as_it_was(bus_server: BusServer) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)

    async def handler(body: Empty, call: Call) -> tenants.Published:
        raise Forbidden("needs the right to publish", fields=[FieldProblem("/x", "wrong", "mend it")])

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()

    with pytest.raises(Forbidden, match="needs the right to publish") as caught:
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id)
    assert caught.value.fields == (FieldProblem("/x", "wrong", "mend it"),)


async def test_a_handlers_own_failure_tells_the_caller_nothing(bus_server: BusServer) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)

    async def handler(body: Empty, call: Call) -> tenants.Published:
        raise RuntimeError("secret detail")

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()

    with pytest.raises(Exception, match="wrong on our side") as caught:
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id)
    assert "secret" not in str(caught.value)


async def test_nobody_there_is_known_at_once_and_silence_at_the_deadline(bus_server: BusServer) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    with pytest.raises(NoResponder):
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id)

    release = asyncio.Event()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        await release.wait()
        raise AssertionError("not reached")

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()
    with pytest.raises(DeadlineExceeded):
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id, timeout=0.2)


async def test_one_slow_request_does_not_hold_up_the_next(bus_server: BusServer) -> None:
    """nats-py runs a subscription's callbacks one after the other; the server must not."""
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    slow, quick = await new_tenant(tenant_svc), await new_tenant(tenant_svc)
    release = asyncio.Event()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        if call.tenant_id == slow:
            await release.wait()
        raise NotFound("done")

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()
    first = asyncio.create_task(gateway.request(tenants.PUBLISH, Empty(), tenant_id=slow))
    with pytest.raises(NotFound):
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=quick)
    assert not first.done()
    release.set()
    with pytest.raises(NotFound):
        await first


async def test_a_fact_reaches_its_consumer_opened_and_checked(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    received: asyncio.Queue[tuple[calls.TurnRecorded, Delivery]] = asyncio.Queue()

    async def handler(fact: calls.TurnRecorded, delivery: Delivery) -> None:
        received.put_nowait((fact, delivery))

    orchestrator.consume({calls.TurnRecorded: handler})
    fact = turn(tenant_id, agent.ids.new(), 1, "a cleaning costs 80 dollars")
    message_id = agent.ids.new()
    await agent.publish_fact(fact, message_id)
    await agent.publish_fact(fact, message_id)  # a second try of the same message is stored once

    got, delivery = await asyncio.wait_for(received.get(), 10)
    assert got == fact
    assert got.agent_said == "a cleaning costs 80 dollars"
    assert delivery.message_id == message_id
    assert received.empty()


async def test_words_are_not_in_the_stream_in_clear(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    await agent.publish_fact(turn(tenant_id, agent.ids.new(), 1, "xylophone canary"))

    client = await connect(bus_server.settings("topology"), name="t", inbox="_INBOX_topology")
    stored = await client.jetstream().get_msg("CALLS", 1)
    await client.drain()

    assert stored.data is not None
    assert b"xylophone" not in stored.data


async def _wait_for_dead_letter(client: object) -> deadletters.DeadLetter:
    async with asyncio.timeout(10):
        while True:
            found = await deadletters.listing(client)  # type: ignore[arg-type]
            if found:
                return found[0]


async def test_a_message_moved_to_another_tenant_is_buried_unread(bus_server: BusServer) -> None:
    """The payload of tenant A under tenant B's subject: neither B's key opens it nor does the handler see it."""
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_a, tenant_b = await new_tenant(tenant_svc), await new_tenant(tenant_svc)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    seen: list[object] = []

    async def handler(fact: calls.CallEnded, delivery: Delivery) -> None:
        seen.append(fact)

    orchestrator.consume({calls.CallEnded: handler})
    call_id = agent.ids.new()
    fact = calls.CallEnded(
        tenant_id=tenant_a,
        call_id=call_id,
        epoch=1,
        seq=1,
        at=NOW,
        room_sid="RM_x",
        reason=calls.EndReason.CALLER_HUNG_UP,
    )
    message = await agent.encode(fact)
    moved = message.subject.replace(tenant_a.hex, tenant_b.hex)
    await agent.publish(moved, message.payload, message.headers, agent.ids.new().hex)

    client = await connect(bus_server.settings("topology"), name="t", inbox="_INBOX_topology")
    try:
        found = await _wait_for_dead_letter(client)
    finally:
        await client.drain()
    assert found.reason == "invalid-input"
    assert found.tries == 1  # trying again can't mend it
    assert seen == []


async def test_a_destroyed_key_closes_everything(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    await tenant_svc.keyring.destroy(tenant_id)

    with pytest.raises(SealError):
        await agent.publish_fact(turn(tenant_id, agent.ids.new(), 1))


async def test_a_service_may_only_say_what_the_catalogue_lets_it_say(bus_server: BusServer) -> None:
    """Refused in our code before any I/O, and by the server for code that goes round it."""
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    rag = await bus_server.connect(Service.RAG_SVC)
    with pytest.raises(InvalidInput, match="does not publish"):
        await rag.publish_fact(turn(tenant_id, rag.ids.new(), 1))
    with pytest.raises(InvalidInput, match="not a client"):
        await rag.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id)
    with pytest.raises(InvalidInput, match="does not serve"):
        await rag.serve(tenants.PUBLISH, _never)

    for service in Service:
        client = await connect(bus_server.settings(service.value), name="x", inbox=f"_INBOX_{service.value}")
        forbidden = f"tenants.{tenant_id.hex}.calls.{tenant_id.hex}.never"
        with pytest.raises(nats.errors.TimeoutError):
            await client.jetstream(timeout=0.3).publish(forbidden, b"x")
        await client.close()


async def test_hostile_ids_are_refused_before_any_io(bus_server: BusServer) -> None:
    agent = await bus_server.connect(Service.VOICE_AGENT)
    await agent.drain()  # no connection any more: what follows can't have used it
    for hostile in ("*", ">", "a.b", "x\r\nPUB y 1\r\nz", "", "0" * 33, "0" * 31 + "\n", "G" * 32, "A" * 32):
        with pytest.raises(InvalidId):
            parse_token(hostile)
        fact = turn(uuid.uuid4(), uuid.uuid4(), 1).model_copy(update={"tenant_id": hostile})
        with pytest.raises(InvalidId):
            fact.subject()


async def test_live_words_reach_only_their_own_tenant(bus_server: BusServer) -> None:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_a, tenant_b = await new_tenant(tenant_svc), await new_tenant(tenant_svc)
    agent = await bus_server.connect(Service.VOICE_AGENT)
    gateway = await bus_server.connect(Service.API_GATEWAY)
    call_id = agent.ids.new()

    def words(tenant_id: uuid.UUID, text: str) -> calls.LiveWords:
        return calls.LiveWords(
            tenant_id=tenant_id, call_id=call_id, at=NOW, speaker="caller", text=Sealed(text), final=True
        )

    async with gateway.live(tenant_a) as events:
        await agent.publish_live(words(tenant_b, "not for you"))
        await agent.publish_live(words(tenant_a, "for you"))
        got = await asyncio.wait_for(anext(events), 10)
    assert isinstance(got, calls.LiveWords)
    assert got.text == "for you"


async def test_the_bus_comes_back_after_a_kill_and_requests_meanwhile_fail_at_once(bus_server: BusServer) -> None:
    """What is asked while the server is away fails and is never delivered later."""
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = await new_tenant(tenant_svc)
    await gateway.keyring.cipher(tenant_id)
    handled: list[int] = []

    async def handler(body: Empty, call: Call) -> tenants.Published:
        handled.append(1)
        raise NotFound("served")

    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()
    await bus_server.host.akill("nats")
    async with asyncio.timeout(10):
        while gateway.is_connected or tenant_svc.is_connected:
            await asyncio.sleep(0.01)
    with pytest.raises(Exception, match=r"away|answer"):
        await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id, timeout=0.3)
    await bus_server.host.arevive("nats")
    async with asyncio.timeout(20):
        while True:
            try:
                await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id, timeout=0.5)
            except NotFound:
                break
            except (NoResponder, DeadlineExceeded, Exception):
                await asyncio.sleep(0.05)
    assert handled == [1]
