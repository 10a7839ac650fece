"""What the bus costs: requests against bare nats-py, facts until the record shows them, configurations until they hold.

    python -m bench.bus [--quick] [--accept] [--seed N]

Requests go from this process to one that answers (``bench.bus_responder``) through a nats-server: once through
``switchboard.bus`` (contract, sealing, deadline, actor, trace, metrics), once through bare nats-py with payloads of the same
sizes. CPU is of the two Python processes. Facts and configurations go through call-orchestrator and tenant-svc with
PostgreSQL. About four minutes.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fleet.process import ProcessSpec
from nats.aio.client import Client
from switchboard.bus import Bus
from switchboard.bus.envelope import ACTOR, CONTRACT, DEADLINE, SOURCE, encode
from switchboard.contracts.base import Actor, Contract, Rpc, Service
from switchboard.contracts.calls import HEARTBEAT, Heartbeat, HeartbeatReply
from switchboard.contracts.documents import SEARCH, Search
from switchboard.errors import NoResponder
from switchboard.sealed import Sealed

from bench.bus_facts import figures
from bench.bus_responder import BARE, bare, search_reply
from bench.frame import usage
from bench.frame.command import Options, Start, finish, run
from bench.frame.ground import Ground, ground
from bench.frame.interleave import CPU, LATENCY, Against, Batch, Side, interleave
from bench.frame.results import Case

GOAL = 1.25
RESPONDER = "responder"
OURS, BARE_CLIENT, HEADERS = "switchboard.bus", "bare nats-py", "nats-py with the envelope's headers"
AT_ONCE = 32
ASKER = Service.VOICE_AGENT

Ask = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Kind:
    """One method: a request and its answer. ``name`` is also the bare subject's last part."""

    name: str
    title: str
    spec: Rpc[Any, Any]
    body: Contract
    reply: Contract


QUESTION = Search(queries=(Sealed("how much is a cleaning"), Sealed("how much for cleaning")))
KINDS = (
    Kind(
        "heartbeat", "request with nothing sealed (calls.heartbeat)", HEARTBEAT,
        Heartbeat(call_id=UUID(int=1), epoch=1, room_sid="RM_0123456789ab"), HeartbeatReply(lease_seconds=15.0),
    ),
    Kind(
        "search", "request with five sealed passages (rag.search)", SEARCH,
        QUESTION, search_reply(),
    ),
)  # fmt: skip


async def sizes(bus: Bus, tenant: UUID, kind: Kind) -> tuple[int, int]:
    """Bytes of the request's and of the answer's payload as they travel."""
    cipher = await bus.keyring.cipher(tenant)
    return len(encode(kind.body, cipher, "x")), len(encode(kind.reply, cipher, "x"))


def side(name: str, role: str, ask: Ask, responder: int, at_once: int) -> Side:
    async def run(units: int) -> Batch:
        seconds: list[float] = []

        async def worker(share: int) -> None:
            for _ in range(share):
                began = time.perf_counter()
                await ask()
                seconds.append(time.perf_counter() - began)

        before = time.process_time() + usage.cpu_s([responder])
        await asyncio.gather(*(worker(units // at_once) for _ in range(at_once)))
        cpu = time.process_time() + usage.cpu_s([responder]) - before
        return Batch(len(seconds), tuple(seconds), cpu)

    return Side(name, "ours" if role == "ours" else "peer", run)


async def request_cases(options: Options) -> list[Case]:
    async with ground("topology") as servers:
        bus = await servers.bus(ASKER)
        tenants = await servers.bus(Service.TENANT_SVC)
        tenant = bus.ids.new()
        await tenants.keyring.publish(tenant, tenants.keyring.create(tenant))
        lengths = {kind.name: await sizes(bus, tenant, kind) for kind in KINDS}
        await start_responder(servers, {name: reply for name, (_, reply) in lengths.items()})
        responder = servers.pid(RESPONDER)[0]
        client = await bare(servers.nats(ASKER.value))
        servers.stack.push_async_callback(client.close)
        await answered(bus, tenant)
        cases = []
        for kind in KINDS:
            for at_once in (1, AT_ONCE) if kind is KINDS[0] else (1,):
                cases.append(await compare(options, kind, at_once, bus, client, tenant, lengths[kind.name], responder))
        return cases


async def compare(
    options: Options, kind: Kind, at_once: int, bus: Bus, client: Client, tenant: UUID, lengths: tuple[int, int],
    responder: int,
) -> Case:  # fmt: skip
    payload, reply = b"x" * lengths[0], lengths[1]
    subject = BARE.format(kind.name)
    headers = {
        CONTRACT: kind.spec.contract(), SOURCE: ASKER.value, ACTOR: Actor.of_service(ASKER).model_dump_json(),
        DEADLINE: "1790000000000", "traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    }  # fmt: skip

    async def ours() -> None:
        found = await bus.request(kind.spec, kind.body, tenant_id=tenant)
        if found != kind.reply:
            raise AssertionError("another answer than was sent")

    async def plain() -> None:
        if len((await client.request(subject, payload, timeout=5)).data) != reply:
            raise AssertionError("another answer than was sent")

    async def with_headers() -> None:
        if len((await client.request(subject, payload, timeout=5, headers=headers)).data) != reply:
            raise AssertionError("another answer than was sent")

    sides = [
        side(OURS, "ours", ours, responder, at_once),
        side(BARE_CLIENT, "peer", plain, responder, at_once),
        side(HEADERS, "peer", with_headers, responder, at_once),
    ]
    units, blocks = (64, 2) if options.quick else (640, 15)
    trial = await interleave(sides, units=units, blocks=blocks, warmup=units)
    claims = [Against(BARE_CLIENT, CPU, GOAL), Against(HEADERS, CPU)]
    if at_once == 1:  # with many at once a latency is time in a queue
        claims = [Against(BARE_CLIENT, LATENCY, GOAL), *claims]
    title = f"{kind.title}, {at_once} at once; {lengths[0]} bytes there, {lengths[1]} back"
    return trial.case(title, "request", claims, options.seed)


async def start_responder(servers: Ground, replies: dict[str, int]) -> None:
    given = {
        "url": servers.layout.nats.url,
        "passwords": servers.layout.secrets.nats,
        "master_key": servers.layout.secrets.master_key,
        "replies": replies,
    }
    argv = (sys.executable, "-m", "bench.bus_responder")
    await servers.host.astart(ProcessSpec(RESPONDER, argv, env={"BENCH_BUS": json.dumps(given)}, after=("nats",)))


async def answered(bus: Bus, tenant: UUID) -> None:
    """Waits until the responder serves the last of its methods."""
    async with asyncio.timeout(30):
        while True:
            try:
                await bus.request(SEARCH, QUESTION, tenant_id=tenant)
                return
            except NoResponder:
                await asyncio.sleep(0.05)


async def measure(options: Options, start: Start) -> int:
    cases = await request_cases(options)
    notes = [
        "CPU is of the asking and the answering process together, without nats-server.",
        "One nats-server with the fleet's users, permissions and durability; spans are made and exported nowhere.",
        "A record or a decision is asked for again and again, so times until they show it are too long by half a request.",
    ]
    return finish("bus", options, start, cases, await figures(options), notes)


def main(arguments: Sequence[str] | None = None) -> int:
    return run("The bus against bare nats-py.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
