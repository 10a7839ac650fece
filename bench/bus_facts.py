"""How long until a published fact shows in the call's record, and a published configuration in decisions about calls."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from fleet.person import open_account
from switchboard.bus import Bus
from switchboard.contracts.base import Actor, Contract, Empty, Rpc, Service
from switchboard.contracts.calls import (
    ADMIT,
    GET_CALL,
    PREVIEW,
    AdmitReply,
    AdmitRequest,
    CallEnded,
    EndReason,
    GetCall,
    PreviewRequest,
    SipFacts,
    TurnRecorded,
)
from switchboard.contracts.snapshot import WEEKDAYS, AgentConfiguration, Opening
from switchboard.contracts.tenants import (
    ADD_LOCATION,
    ADD_NUMBER,
    GO_LIVE,
    PUBLISH,
    SET_AGENT,
    NewLocation,
    NewNumber,
)
from switchboard.errors import SwitchboardError
from switchboard.sealed import Sealed

from bench.frame.command import Options
from bench.frame.ground import Ground, ground
from bench.frame.results import Figure
from bench.frame.statistics import figure

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)

NUMBER = "+15550100001"
FIRST_OPENED = datetime.min.time()
PATIENCE_S = 10.0
TURNS_A_CALL = 10


async def figures(options: Options) -> list[Figure]:
    count = 5 if options.quick else 300
    async with ground("call-orchestrator", "tenant-svc", "api-gateway") as servers:
        clinic = await Clinic.onboarded(servers)
        stored, shown = await clinic.facts(count)
        committed, held = await clinic.configurations(count)
    measured = (
        ("fact: publish until the broker has it on disk (the floor of the next line)", stored),
        ("fact: publish of a turn until the call's record shows it", shown),
        ("configuration: publish until it is committed (the floor of the next line)", committed),
        ("configuration: publish until decisions about calls go by it", held),
    )
    return [figure(title, "ms", seconds, factor=1000, seed=options.seed) for title, seconds in measured]


def room(number: int) -> str:
    return f"RM_bench{number:06d}"


class Clinic:
    """One tenant with a number; the gateway and the voice agent are this process."""

    def __init__(self, gateway: Bus, agent: Bus, tenant: UUID, owner: Actor) -> None:
        self._gateway = gateway
        self._agent = agent
        self._tenant = tenant
        self._owner = owner

    @classmethod
    async def onboarded(cls, servers: Ground) -> Clinic:
        gateway, agent = await servers.bus(Service.API_GATEWAY), await servers.bus(Service.VOICE_AGENT)
        layout = servers.layout
        account = await open_account(
            layout.api_url, layout.mailbox, name="Clinic", email="office@clinic.example", time_zone="UTC"
        )
        tenant_id = UUID(account.tenant_id)
        owner = Actor(kind="user", id=UUID(account.user_id).hex, tenant_id=tenant_id, roles=("owner",))
        made = cls(gateway, agent, tenant_id, owner)
        hours = tuple(Opening(day=day, opens=FIRST_OPENED, closes=datetime.max.time()) for day in WEEKDAYS)
        await made._ask(ADD_LOCATION, NewLocation(name="Main Street", hours=hours))
        await made._ask(ADD_NUMBER, NewNumber(number=NUMBER))
        await made._ask(SET_AGENT, AgentConfiguration(greeting="Hello", outside_hours="talk"))
        live = await made._ask(GO_LIVE, Empty())
        await made._decides_by(live.version)
        return made

    async def _ask(self, spec: Rpc[RequestT, ReplyT], body: RequestT) -> ReplyT:
        return await self._gateway.request(spec, body, tenant_id=self._tenant, actor=self._owner)

    async def facts(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds of ``count`` turns, ten a call: until stored by the broker, until in the record."""
        stored: list[float] = []
        shown: list[float] = []
        while len(shown) < count:
            call = await self._admitted(len(shown))
            for seq in range(1, TURNS_A_CALL + 1):
                fact = TurnRecorded(
                    **self._about(call, seq), turn=seq, kind="answered", agent_said=Sealed("It is 95 dollars."),
                    agent_heard=Sealed("It is 95 dollars."),
                )  # fmt: skip
                began = time.perf_counter()
                await self._agent.publish_fact(fact)
                stored.append(time.perf_counter() - began)
                await self._until(lambda turns=seq: self._has_turns(call.call_id, turns))  # type: ignore[misc]  # noqa: B023
                shown.append(time.perf_counter() - began)
            ended = CallEnded(
                **self._about(call, TURNS_A_CALL + 1), room_sid=room(len(shown) - TURNS_A_CALL),
                reason=EndReason.CALLER_HUNG_UP,
            )  # fmt: skip
            await self._agent.publish_fact(ended)
        return stored, shown

    def _about(self, call: AdmitReply, seq: int) -> dict[str, Any]:
        """What every fact of a call says."""
        return {
            "tenant_id": self._tenant, "call_id": call.call_id, "epoch": call.epoch, "seq": seq, "at": datetime.now(UTC),
        }  # fmt: skip

    async def configurations(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds of ``count`` publications: until the request is answered, until decisions name the version."""
        committed, held = [], []
        for _ in range(count):
            began = time.perf_counter()
            published = await self._ask(PUBLISH, Empty())
            committed.append(time.perf_counter() - began)
            await self._decides_by(published.version)
            held.append(time.perf_counter() - began)
        return committed, held

    async def _admitted(self, number: int) -> AdmitReply:
        sip = SipFacts(sip_call_id="bench", dialled=Sealed(NUMBER), trunk="platform", caller=Sealed("+15550100002"))
        request = AdmitRequest(
            room_sid=room(number), room_name=Sealed("call-bench"), sip=sip, job_id="AJ_bench", at=datetime.now(UTC)
        )
        return await self._agent.request(ADMIT, request, tenant_id=None)

    async def _has_turns(self, call_id: UUID, turns: int) -> bool:
        record = await self._ask(GET_CALL, GetCall(call_id=call_id))
        return record.summary.turns >= turns

    async def _decides_by(self, version: int) -> None:
        async def names_it() -> bool:
            try:
                decision = await self._ask(PREVIEW, PreviewRequest(number=NUMBER))
            except SwitchboardError:  # before the first version there is nothing to decide by
                return False
            return int(decision.evidence["version"]) >= version

        await self._until(names_it)

    async def _until(self, reached: Callable[[], Awaitable[bool]]) -> None:
        end = time.perf_counter() + PATIENCE_S
        while not await reached():
            if time.perf_counter() > end:
                raise TimeoutError(f"not seen within {PATIENCE_S:g} s")
