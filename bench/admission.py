"""Admission with 10,000 published tenants: how long a decision takes, what the snapshots cost in memory, cold start.

    python -m bench.admission [--quick] [--accept] [--seed N]

Ours is a call's ``calls.admit`` over the bus to call-orchestrator, which decides from the snapshots in memory and records the
call in PostgreSQL; and, for when the bus is away, the same decision by the voice agent's worker over its socket. The floor is
one row committed by bare asyncpg, which is what a recorded answer can't go below. Every call ends before the next begins.
About four minutes.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock_time
from uuid import UUID

from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.contracts.base import Actor, Service
from switchboard.contracts.calls import (
    ADMIT,
    GET_CALL,
    AdmitReply,
    AdmitRequest,
    CallAnswered,
    CallEnded,
    EndReason,
    GetCall,
    Outcome,
    SipFacts,
)
from switchboard.contracts.snapshot import (
    PLATFORM_TRUNK,
    WEEKDAYS,
    AgentConfiguration,
    Holiday,
    Location,
    NumberBinding,
    Opening,
    TenantSnapshot,
    TenantStatus,
)
from switchboard.errors import Unavailable
from switchboard.sealed import Sealed
from switchboard.settings import BlobSettings
from switchboard.snapshot import SnapshotWriter
from voice_agent.calls.standby import ask_standby

from bench.frame import usage
from bench.frame.command import Options, Start, finish, run
from bench.frame.ground import Ground, ground
from bench.frame.interleave import LATENCY, Against, interleave, one_by_one
from bench.frame.results import Goal
from bench.frame.statistics import figure

OURS, ALONE, FLOOR = (
    "call-orchestrator over the bus, recorded",
    "the worker's own decision",
    "bare asyncpg, a row committed",
)
ORCHESTRATOR, AGENT = "call-orchestrator", "voice-agent"
GOAL_P95_MS = 10.0
WRITES_AT_ONCE = 64
SCRATCH = "CREATE TABLE public.bench_rows (id uuid PRIMARY KEY, room text NOT NULL, at timestamptz NOT NULL)"
INSERT = "INSERT INTO public.bench_rows VALUES ($1, $2, $3)"


def snapshot(number: int) -> TenantSnapshot:
    """A clinic with two locations, opening hours, two numbers and a few holidays: 3 kB."""
    hours = [Opening(day=day, opens=clock_time(8), closes=clock_time(20)) for day in WEEKDAYS]
    halves = [Opening(day=day, opens=clock_time(9), closes=clock_time(13)) for day in WEEKDAYS[:6]]
    holidays = [Holiday(day=date(2027, month, 1), name=f"Holiday of month {month}") for month in range(1, 13)]
    places = [
        Location(id=UUID(int=2 * number + at), name=name, address=f"{number} {name}", hours=tuple(hours + halves))
        for at, name in enumerate(("Main Street", "Station Road"))
    ]
    numbers = [NumberBinding(number=dialled(2 * number + at)) for at in range(2)]
    return TenantSnapshot(
        tenant_id=tenant_id(number), version=3, published_at=datetime(2026, 3, 2, tzinfo=UTC), status=TenantStatus.LIVE,
        name=f"Clinic {number}", time_zone="America/New_York", locations=tuple(places), holidays=tuple(holidays),
        numbers=tuple(numbers), agent=AgentConfiguration(greeting=f"Clinic {number}, how can I help you?"),
    )  # fmt: skip


def tenant_id(number: int) -> UUID:
    return UUID(int=(number + 1) << 64)


def dialled(number: int) -> str:
    return f"+1555{number:07d}"


async def publish(tenants: Bus, blobs: Blobs, count: int) -> None:
    """Snapshots and data keys of ``count`` tenants, as tenant-svc writes them."""
    writer = SnapshotWriter(tenants.bucket(SNAPSHOTS), blobs)
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await writer.publish(snapshot(number))
            await tenants.keyring.publish(tenant_id(number), tenants.keyring.create(tenant_id(number)))

    await asyncio.gather(*(work() for _ in range(WRITES_AT_ONCE)))


class Calls:
    """Calls to numbers drawn at random, one after the other."""

    def __init__(self, agent: Bus, gateway: Bus, tenants: int, seed: int) -> None:
        self._agent = agent
        self._gateway = gateway
        self._tenants = tenants
        self._draw = random.Random(seed)
        self._count = 0

    def request(self) -> tuple[AdmitRequest, UUID]:
        self._count += 1
        number = self._draw.randrange(2 * self._tenants)
        sip = SipFacts(
            sip_call_id=f"SCL_{self._count}",
            trunk=PLATFORM_TRUNK,
            dialled=Sealed(dialled(number)),
            caller=Sealed("+15557654321"),
        )
        room = f"RM_{self._draw.getrandbits(48):012x}"
        made = AdmitRequest(
            room_sid=room, room_name=Sealed("call-" + room), sip=sip, job_id=f"AJ_{self._count}", at=datetime.now(UTC)
        )
        return made, tenant_id(number // 2)

    async def admitted(self) -> float:
        """Seconds until the answer; the call has ended when this returns."""
        request, tenant = self.request()
        began = time.perf_counter()
        reply = await self._agent.request(ADMIT, request, tenant_id=None)
        seconds = time.perf_counter() - began
        check(reply, tenant, degraded=False)
        await self._end(request, reply, tenant)
        return seconds

    async def _recorded_end(self, call_id: UUID, tenant: UUID) -> None:
        owner = Actor(kind="user", id="bench", tenant_id=tenant, roles=("owner",))
        async with asyncio.timeout(10):
            while True:
                record = await self._gateway.request(GET_CALL, GetCall(call_id=call_id), tenant_id=tenant, actor=owner)
                if record.summary.end_reason is not None:
                    return

    async def _end(self, request: AdmitRequest, reply: AdmitReply, tenant: UUID) -> None:
        about = {"tenant_id": tenant, "call_id": reply.call_id, "epoch": reply.epoch, "room_sid": request.room_sid}
        at = datetime.now(UTC)
        await self._agent.publish_fact(
            CallAnswered.model_validate({**about, "seq": 1, "at": at, "configuration_version": 3})
        )
        ended = {**about, "seq": 2, "at": at, "reason": EndReason.CALLER_HUNG_UP}
        await self._agent.publish_fact(CallEnded.model_validate(ended))
        await self._recorded_end(reply.call_id, tenant)


def check(reply: AdmitReply, tenant: UUID, *, degraded: bool) -> None:
    decision = reply.decision
    if (decision.tenant_id, decision.outcome, reply.degraded) != (tenant, Outcome.TALK, degraded):
        raise AssertionError(f"decided {decision.outcome} for another reason than expected: {decision.reason}")


async def cold_starts(servers: Ground, name: str, times: int) -> tuple[list[float], list[float]]:
    """Seconds from exec until ready, which is after every snapshot was read, and bytes of PSS then; it runs afterwards."""
    seconds, memory = [], []
    for _ in range(times):
        started = name in {status.name for status in servers.host.supervisor.status()}
        if started:
            await servers.host.astop(name)
        began = time.perf_counter()
        await (servers.host.arevive(name) if started else servers.start(name))
        seconds.append(time.perf_counter() - began)
        memory.append(float(usage.pss_bytes(servers.pid(name))))
    return seconds, memory


async def worker_decides(servers: Ground, calls: Calls, agent: Bus) -> Callable[[], Awaitable[float]]:
    """A decision as a job asks its worker for it, once the worker has read the snapshots."""
    socket = servers.layout.folder / AGENT / "standby.sock"

    async def one() -> float:
        request, tenant = calls.request()
        began = time.perf_counter()
        reply = await ask_standby(socket, agent.keyring, request)
        seconds = time.perf_counter() - began
        check(reply, tenant, degraded=True)
        return seconds

    async with asyncio.timeout(60):
        while True:
            try:
                await one()
                return one
            except Unavailable:
                await asyncio.sleep(0.1)


async def measure(options: Options, start: Start) -> int:
    tenants, starts = (50, 1) if options.quick else (10_000, 5)
    units, blocks = (10, 2) if options.quick else (60, 10)
    async with ground("migrate", "topology", "livekit") as servers:
        blobs = Blobs.open(BlobSettings(url=f"file://{servers.layout.folder / 'blobs'}"))
        before_s, before = await cold_starts(servers, ORCHESTRATOR, starts)
        await publish(await servers.bus(Service.TENANT_SVC), blobs, tenants)
        seconds, memory = await cold_starts(servers, ORCHESTRATOR, starts)
        await servers.start(AGENT)
        agent, connection = await servers.bus(Service.VOICE_AGENT), await servers.postgres()
        await connection.execute(SCRATCH)
        calls = Calls(agent, await servers.bus(Service.API_GATEWAY), tenants, options.seed)

        async def row() -> float:
            began = time.perf_counter()
            await connection.execute(INSERT, agent.ids.new(), "RM_0123456789ab", datetime.now(UTC))
            return time.perf_counter() - began

        postgres, orchestrator = servers.pid("postgres"), servers.pid(ORCHESTRATOR)
        sides = [
            one_by_one(OURS, "ours", calls.admitted, [*postgres, *orchestrator], own=False),
            one_by_one(ALONE, "ours", await worker_decides(servers, calls, agent), servers.pid(AGENT), own=False),
            one_by_one(FLOOR, "floor", row, postgres, own=False),
        ]
        trial = await interleave(sides, units=units, blocks=blocks, warmup=units)
    case = trial.case("a call", "call", [Against(FLOOR, LATENCY)], options.seed)
    goal, more = Goal(of="p95", limit=GOAL_P95_MS), f"the same with {tenants} tenants"
    figures = [
        figure("admission, recorded", "ms", trial.seconds(OURS), factor=1000, goal=goal, seed=options.seed),
        figure(
            "admission by the worker, bus away", "ms", trial.seconds(ALONE), factor=1000, goal=goal, seed=options.seed
        ),
        figure(f"{ORCHESTRATOR}: cold start until it decides, no tenants", "s", before_s, seed=options.seed),
        figure(f"{ORCHESTRATOR}: {more}", "s", seconds, seed=options.seed),
        figure(f"{ORCHESTRATOR}: PSS, no tenants", "MB", before, factor=1e-6, seed=options.seed),
        figure(f"{ORCHESTRATOR}: PSS with {tenants} tenants", "MB", memory, factor=1e-6, seed=options.seed),
    ]
    notes = [
        f"{tenants} tenants of {len(snapshot(1).model_dump_json())} bytes each; each call goes to one of them at random.",
        "CPU a call: of call-orchestrator and PostgreSQL from the question until its end is recorded.",
    ]
    return finish("admission", options, start, [case], figures, notes)


def main(arguments: Sequence[str] | None = None) -> int:
    return run("Admission from the snapshots.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
