"""A reply that nobody waits for any more is not sent, and is counted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from fleet.bus_fixtures import BusServer, new_tenant
from fleet.proofs import PATIENCE_SECONDS
from prometheus_client import REGISTRY
from switchboard.bus import Call
from switchboard.bus.connection import connect
from switchboard.bus.envelope import CONTRACT, ERROR
from switchboard.clock import SystemClock
from switchboard.contracts import tenants
from switchboard.contracts.base import Empty, Service
from switchboard.contracts.snapshot import TenantStatus
from switchboard.errors import DeadlineExceeded, Forbidden

pytestmark = pytest.mark.integration

DEADLINE_SECONDS = 1.0


class Clock(SystemClock):
    """The server's own; it can be put forward."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


def counted() -> float:
    labels = {"rpc_method": tenants.PUBLISH.contract()}
    return REGISTRY.get_sample_value("switchboard_rpc_server_late_replies_total", labels) or 0.0


async def counted_since(before: float) -> float:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while counted() == before:
            await asyncio.sleep(0.01)
    return counted() - before


Handler = Callable[[Empty, Call], Awaitable[tenants.Published]]


async def ask(bus_server: BusServer, clock: Clock, handler: Handler) -> None:
    gateway = await bus_server.connect(Service.API_GATEWAY)
    tenant_svc = await bus_server.connect(Service.TENANT_SVC, clock=clock)
    tenant_id = await new_tenant(tenant_svc)
    for bus in (gateway, tenant_svc):
        await bus.keyring.cipher(tenant_id)  # at hand, so that the deadline is the handler's
    await tenant_svc.serve(tenants.PUBLISH, handler)
    await tenant_svc.flush()
    await gateway.request(tenants.PUBLISH, Empty(), tenant_id=tenant_id, timeout=DEADLINE_SECONDS)


async def test_an_answer_in_time_is_sent_and_not_counted(bus_server: BusServer) -> None:
    async def handler(body: Empty, call: Call) -> tenants.Published:
        raise Forbidden("in time")

    before = counted()
    with pytest.raises(Forbidden):
        await ask(bus_server, Clock(), handler)
    assert counted() == before


async def test_an_answer_after_its_deadline_is_dropped_and_counted(bus_server: BusServer) -> None:
    """The deadline passes while the handler works without a pause, as by one long computation."""
    clock = Clock()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        clock.ahead = timedelta(seconds=DEADLINE_SECONDS + 1)
        return tenants.Published(version=1, status=TenantStatus.LIVE, published_at=clock.now())

    before = counted()
    with pytest.raises(DeadlineExceeded):
        await ask(bus_server, clock, handler)
    assert await counted_since(before) == 1


async def test_an_error_after_its_deadline_is_dropped_and_counted(bus_server: BusServer) -> None:
    clock = Clock()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        clock.ahead = timedelta(seconds=DEADLINE_SECONDS + 1)
        raise Forbidden("too late to tell")

    before = counted()
    with pytest.raises(DeadlineExceeded):
        await ask(bus_server, clock, handler)
    assert await counted_since(before) == 1


async def test_a_handler_that_takes_too_long_is_stopped_and_its_reply_counted(bus_server: BusServer) -> None:
    stopped = asyncio.Event()

    async def handler(body: Empty, call: Call) -> tenants.Published:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError("not reached")

    before = counted()
    with pytest.raises(DeadlineExceeded):
        await ask(bus_server, Clock(), handler)
    await asyncio.wait_for(stopped.wait(), 10)
    assert await counted_since(before) == 1


async def test_a_request_without_a_deadline_is_refused(bus_server: BusServer) -> None:
    """Said, not dropped: whoever forgot it should learn so."""

    async def never(body: Empty, call: Call) -> tenants.Published:
        raise AssertionError("must not be reached")

    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    await tenant_svc.serve(tenants.PUBLISH, never)
    await tenant_svc.flush()
    client = await connect(bus_server.settings("api-gateway"), name="x", inbox="_INBOX_api-gateway")
    try:
        for headers in ({}, {"Switchboard-Deadline": "soon"}):
            name = tenants.PUBLISH.contract()
            subject = tenants.PUBLISH.subject(uuid.uuid4())
            reply = await client.request(subject, b"{}", timeout=10, headers={CONTRACT: name, **headers})
            assert (reply.headers or {})[ERROR] == "invalid-input"
            assert b"no deadline" in reply.data
    finally:
        await client.close()
