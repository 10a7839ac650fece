"""Acknowledged means on disk: the server's own system calls say so."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer, new_tenant, open_bus_server, turn
from fleet.hosted import HostedSupervisor
from fleet.proofs.disk import Disk
from fleet.proofs.trace import SystemCall, child_of, read, traced
from fleet.prove import Tried
from switchboard.bus import Bus
from switchboard.bus.envelope import MESSAGE_ID
from switchboard.contracts.base import Service

pytestmark = pytest.mark.integration

PUBLISHES = int(os.environ.get("BUS_PUBLISHES", "200"))
AT_ONCE = 8
ACKNOWLEDGEMENT = re.compile(rb'"stream":\s*"CALLS",\s*"seq":\s*(\d+)')


async def speak(agent: Bus, tenant_id: UUID, acknowledged: list[UUID], count: int) -> None:
    call_id = agent.ids.new()
    for seq in range(1, count + 1):
        fact = turn(tenant_id, call_id, seq, f"answer {seq} of this call")
        message_id = agent.ids.new()
        await agent.publish_fact(fact, message_id)
        acknowledged.append(message_id)


async def publish_and_cut(bus_server: BusServer) -> list[UUID]:
    """Facts of several calls at once; the server is killed in the moment of the last acknowledgement."""
    agent = await bus_server.connect(Service.VOICE_AGENT)
    tenant_id = await new_tenant(await bus_server.connect(Service.TENANT_SVC))
    acknowledged: list[UUID] = []
    await asyncio.gather(*(speak(agent, tenant_id, acknowledged, PUBLISHES // AT_ONCE) for _ in range(AT_ONCE)))
    tracer = bus_server.host.supervisor.pid_of("nats")
    os.kill(child_of(tracer), signal.SIGKILL)
    async with asyncio.timeout(30):  # it writes the last lines, then ends as what it traced
        while any(each.pid == tracer and each.state == "ready" for each in bus_server.host.supervisor.status()):
            await asyncio.sleep(0.01)
    return acknowledged


def syncs_before_acknowledgements(calls: Sequence[SystemCall], messages: Path) -> tuple[int, list[str]]:
    """How many syncs of the stream's files there were, and the acknowledgements that were sent before theirs."""
    synced = sorted(
        call.done
        for call in calls
        if call.name in ("fsync", "fdatasync") and call.path is not None and call.path.is_relative_to(messages)
    )
    early = []
    for call in calls:
        if call.name not in ("write", "writev") or (call.path is not None and call.path.is_absolute()):
            continue
        for found in ACKNOWLEDGEMENT.finditer(b"".join(call.strings)):
            before = sum(1 for done in synced if done < call.begun)
            if before < int(found[1]):
                early.append(f"sequence {int(found[1])} after {before} syncs")
    return len(synced), early


async def stored_after(bus_server: BusServer, host: HostedSupervisor) -> Counter[UUID]:
    """What a second server finds in its store; it stands where the first one did."""
    server = replace(bus_server.server.spec, argv=bus_server.server.spec.argv[-3:], name="restored")
    await host.astart(server)
    async with bus_server.topology() as client:
        js = client.jetstream()
        state = (await js.stream_info("CALLS")).state
        found = [await js.get_msg("CALLS", seq) for seq in range(1, state.last_seq + 1)]
    return Counter(UUID(hex=(message.headers or {})[MESSAGE_ID]) for message in found)


async def test_each_acknowledged_publish_was_synced_and_survives_a_power_cut(
    own_servers: HostedSupervisor, tmp_path: Path, record_property: Tried
) -> None:
    """Counted: by the time an acknowledgement goes out on its socket, the stream's files have been synced at least as often
    as the stream has messages. Then the store is put together again from what was synced alone (no page cache has a part
    in it: :mod:`fleet.proofs.disk`), and a second server that is started on it has every acknowledged fact.

    Not shown: that the disk keeps what it was told to keep.
    """
    trace = tmp_path / "trace"
    async with open_bus_server(own_servers, lambda spec: traced(spec, trace)) as bus_server:
        acknowledged = await publish_and_cut(bus_server)
        store = own_servers.folder / "nats" / "jetstream"
        calls = list(read(trace))
        assert len(acknowledged) == PUBLISHES // AT_ONCE * AT_ONCE
        syncs, early = syncs_before_acknowledgements(calls, store / "jetstream" / "$G" / "streams" / "CALLS" / "msgs")
        assert syncs >= len(acknowledged), f"{syncs} syncs for {len(acknowledged)} acknowledged publishes"
        assert early == []

        disk = Disk(store)
        disk.replay(calls)
        shutil.move(store, tmp_path / "with-page-cache")
        disk.restore(store)
        on_disk = await stored_after(bus_server, own_servers)
    missing = set(acknowledged) - on_disk.keys()
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged facts were never made durable"
    record_property("acknowledged facts", len(acknowledged))
    record_property("syncs", syncs)
    print(f"{len(acknowledged)} acknowledged, {syncs} syncs of the stream's files, all on disk")  # noqa: T201
