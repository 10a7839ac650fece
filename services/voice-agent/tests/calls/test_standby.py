"""A call while the bus is away, on a real broker: who decides about it, what becomes of its facts."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.blobs import Blobs
from switchboard.bus import Bus, Delivery
from switchboard.bus.topology import SNAPSHOTS, TENANT_KEYS
from switchboard.clock import SystemClock
from switchboard.contracts import calls
from switchboard.contracts.base import CallFact, Service
from switchboard.contracts.calls import AdmitRequest, DecisionReason, Outcome, SipFacts
from switchboard.contracts.snapshot import NumberBinding, TenantSnapshot, TenantStatus
from switchboard.degraded import degraded_call_id
from switchboard.errors import Unavailable
from switchboard.sealed import Sealed
from switchboard.settings import BlobSettings
from switchboard.snapshot import SnapshotBook, SnapshotWriter
from voice_agent.calls.admission import admit
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.replay import Replay
from voice_agent.calls.spool import Spool
from voice_agent.calls.standby import Standby, WrappedKeyBook

pytestmark = pytest.mark.integration

NUMBER = "+15550001111"
ROOM = "RM_standby"


def blobs(folder: Path) -> Blobs:
    return Blobs.open(BlobSettings.model_validate({"url": f"file://{folder / 'blobs'}"}))


def asked(number: str = NUMBER) -> AdmitRequest:
    sip = SipFacts(sip_call_id="SCL_1", trunk="platform", dialled=Sealed(number), caller=Sealed("+15559998888"))
    return AdmitRequest(room_sid=ROOM, room_name=Sealed("call"), sip=sip, job_id="AJ_1", at=datetime.now(UTC))


async def clinic(bus_server: BusServer, folder: Path) -> UUID:
    """A live clinic that has published, with a data key, as tenant-svc would have left it."""
    owner = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = owner.ids.new()
    await owner.keyring.publish(tenant_id, owner.keyring.create(tenant_id))
    snapshot = TenantSnapshot(
        tenant_id=tenant_id, version=4, published_at=datetime(2026, 3, 2, tzinfo=UTC), status=TenantStatus.LIVE,
        name="Harbour Clinic", time_zone="UTC", numbers=(NumberBinding(number=NUMBER, trunk="platform"),),
    )  # fmt: skip
    assert await SnapshotWriter(owner.bucket(SNAPSHOTS), blobs(folder)).publish(snapshot)
    return tenant_id


@dataclass
class Worker:
    bus: Bus
    socket: Path
    spool: Spool


@asynccontextmanager
async def worker(bus_server: BusServer, folder: Path, tenant_id: UUID | None) -> AsyncIterator[Worker]:
    """The main process's part of a worker; has read the clinic's snapshot and key when there is one."""
    # Deeper than a socket's address may be long.
    state = folder / ("deep" * 20) / "state"
    bus = await bus_server.connect(Service.VOICE_AGENT)
    book, keys = SnapshotBook(bus.bucket(SNAPSHOTS), blobs(folder)), WrappedKeyBook(bus.bucket(TENANT_KEYS))
    tasks = [asyncio.create_task(work) for work in (book.run(), keys.run())]
    serving = asyncio.create_task(Standby(book, keys, bus.keyring, SystemClock()).serve(state / "standby.sock"))
    async with asyncio.timeout(20):
        while not (state / "standby.sock").exists():
            await asyncio.sleep(0.01)
        while tenant_id is not None and (book.get(tenant_id) is None or keys.get(tenant_id) is None):
            await asyncio.sleep(0.01)
    try:
        yield Worker(bus, state / "standby.sock", Spool(state / "spool", 1_000_000))
    finally:
        for task in [*tasks, serving]:
            task.cancel()


@asynccontextmanager
async def job(bus_server: BusServer) -> AsyncIterator[Bus]:
    """A job's own connection, which may find no server."""
    user = Service.VOICE_AGENT
    bus = Bus.begin(bus_server.settings(user.value), bus_server.sealing, user)
    try:
        yield bus
    finally:
        await bus.drain()


async def listen(bus_server: BusServer, count: int) -> asyncio.Task[list[CallFact]]:
    """The first ``count`` facts that the orchestrator is given."""
    orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
    got: asyncio.Queue[CallFact] = asyncio.Queue()

    async def take(fact: CallFact, _: Delivery) -> None:
        got.put_nowait(fact)

    kinds = (calls.CallAnswered, calls.TurnRecorded, calls.ConversationSaved, calls.CallEnded)
    orchestrator.consume(dict.fromkeys(kinds, take))

    async def collect() -> list[CallFact]:
        async with asyncio.timeout(30):
            return [await got.get() for _ in range(count)]

    return asyncio.create_task(collect())


async def test_a_call_that_finds_no_bus_is_decided_by_its_worker_and_recorded_later(
    bus_server: BusServer, tmp_path: Path
) -> None:
    tenant_id = await clinic(bus_server, tmp_path)
    async with worker(bus_server, tmp_path, tenant_id) as main:
        await bus_server.host.akill("nats")
        async with job(bus_server) as bus:
            request = asked()
            reply = await admit(bus, main.socket, request)
            assert (reply.degraded, reply.call_id) == (True, degraded_call_id(ROOM))
            assert (reply.decision.outcome, reply.decision.tenant_id) == (Outcome.TALK, tenant_id)
            # The bucket of keys is away too: without the worker's copy nothing of this call could be kept.
            facts = CallFacts(bus, main.spool, SystemClock(), tenant_id, reply.call_id, reply.epoch)
            facts.answered(ROOM, 4)
            facts.ended(ROOM, calls.EndReason.CALLER_HUNG_UP)
            await facts.flush(10)
        assert main.spool.size() > 0
        await bus_server.host.arevive("nats")
        recorded = await listen(bus_server, 2)
        await until_sent(main)
        assert [type(fact) for fact in sorted(await recorded, key=lambda fact: fact.seq)] == [
            calls.CallAnswered,
            calls.CallEnded,
        ]


async def until_sent(main: Worker) -> None:
    replay = asyncio.create_task(Replay(main.spool, main.bus).run())
    async with asyncio.timeout(30):
        while main.spool.size():
            await asyncio.sleep(0.05)
    replay.cancel()


@pytest.mark.parametrize(
    ("number", "reason"), [("+15550002222", DecisionReason.UNKNOWN_NUMBER), (NUMBER, DecisionReason.WRONG_TRUNK)]
)
async def test_a_worker_refuses_what_admission_would_refuse(
    bus_server: BusServer, tmp_path: Path, number: str, reason: DecisionReason
) -> None:
    tenant_id = await clinic(bus_server, tmp_path)
    async with worker(bus_server, tmp_path, tenant_id) as main:
        await bus_server.host.akill("nats")
        request = asked(number)
        if reason is DecisionReason.WRONG_TRUNK:
            request = request.model_copy(update={"sip": request.sip.model_copy(update={"trunk": "somebody"})})
        async with job(bus_server) as bus:
            reply = await admit(bus, main.socket, request)
        assert (reply.decision.outcome, reply.decision.reason) == (Outcome.REFUSE, reason)


async def test_a_worker_that_has_read_nothing_decides_nothing(bus_server: BusServer, tmp_path: Path) -> None:
    """Every number would look unknown: better no decision than a wrong one."""
    await bus_server.host.akill("nats")
    async with job(bus_server) as nobody:
        book, keys = SnapshotBook(nobody.bucket(SNAPSHOTS), blobs(tmp_path)), WrappedKeyBook(nobody.bucket(TENANT_KEYS))
        socket = tmp_path / "standby.sock"
        serving = asyncio.create_task(Standby(book, keys, nobody.keyring, SystemClock()).serve(socket))
        async with asyncio.timeout(10):
            while not socket.exists():
                await asyncio.sleep(0.01)
        with pytest.raises(Unavailable):
            await admit(nobody, socket, asked())
        serving.cancel()


async def test_without_a_worker_there_is_no_decision(bus_server: BusServer, tmp_path: Path) -> None:
    await bus_server.host.akill("nats")
    async with job(bus_server) as bus:
        with pytest.raises(Unavailable):
            await admit(bus, tmp_path / "nobody.sock", asked())


async def test_a_bus_that_came_late_serves_as_any_other(bus_server: BusServer) -> None:
    """Until it is there everything fails at once, and nothing of that is sent afterwards."""
    await bus_server.host.akill("nats")
    async with job(bus_server) as bus:
        with pytest.raises(Unavailable):
            await bus.request(calls.ADMIT, asked(), tenant_id=None)
        with pytest.raises(Unavailable):
            await bus.connected(0.05)
        await bus_server.host.arevive("nats")
        orchestrator = await bus_server.connect(Service.CALL_ORCHESTRATOR)
        seen: list[AdmitRequest] = []

        async def answer(body: AdmitRequest, _: object) -> calls.AdmitReply:
            seen.append(body)
            decision = calls.Decision(outcome=Outcome.REFUSE, reason=DecisionReason.UNKNOWN_NUMBER)
            return calls.AdmitReply(call_id=bus.ids.new(), epoch=1, decision=decision)

        await orchestrator.serve(calls.ADMIT, answer)
        await orchestrator.flush()
        await bus.connected(30)
        assert not (await bus.request(calls.ADMIT, asked(), tenant_id=None)).degraded
        assert len(seen) == 1


KILLED_JOB = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from pydantic import SecretStr
from switchboard.bus import Bus
from switchboard.clock import SystemClock
from switchboard.contracts.base import Service
from switchboard.settings import NatsSettings, SealingSettings
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.spool import Spool

async def main(url, password, master, spool, tenant_id):
    settings = NatsSettings(url=url, user="voice-agent", password=SecretStr(password))
    bus = await Bus.connect(settings, SealingSettings(master_key=SecretStr(master)), Service.VOICE_AGENT)
    await bus.keyring.cipher(UUID(tenant_id))
    facts = CallFacts(bus, Spool(Path(spool), 1_000_000), SystemClock(), UUID(tenant_id), UUID(int=7), epoch=1)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for version in range(1, 51):
        facts.answered("RM_1", version)
    while not facts._safe.is_set():
        await asyncio.sleep(0.01)
    print("aside", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_job_that_is_killed_loses_nothing_that_was_put_aside(bus_server: BusServer, tmp_path: Path) -> None:
    tenant_id = await clinic(bus_server, tmp_path)
    spool = Spool(tmp_path / "spool", 1_000_000)
    settings = bus_server.settings("voice-agent")
    arguments = [
        settings.url,
        settings.password.get_secret_value(),
        bus_server.sealing.master_key.get_secret_value(),
        str(tmp_path / "spool"),
        str(tenant_id),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED_JOB, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"ready\n"
        await bus_server.host.akill("nats")
        process.stdin.write(b"\n")
        assert b"aside" in await until_line(process.stdout, b"aside")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await bus_server.host.arevive("nats")
    recorded = await listen(bus_server, 50)
    bus = await bus_server.connect(Service.VOICE_AGENT)
    await until_sent(Worker(bus, tmp_path / "unused", spool))
    assert sorted(fact.seq for fact in await recorded) == list(range(1, 51))


async def until_line(stream: asyncio.StreamReader, wanted: bytes) -> bytes:
    """Skips the log's lines, which go to the same place."""
    while True:
        line = await stream.readline()
        if not line or wanted in line:
            return line
