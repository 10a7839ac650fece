"""For tests: the gateway's whole process inside the test, and peers that answer on the real bus in the others' place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from switchboard.bus import Bus, Call
from switchboard.contracts.base import Actor, Contract, Empty, Rpc
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import LISTEN
from switchboard.contracts.catalogue import RPCS
from switchboard.contracts.keys import AUTHENTICATE, Authenticate
from switchboard.errors import NotAuthenticated, NotFound, SwitchboardError
from switchboard.http import HttpClient, HttpResponse, client
from switchboard.service import PROBLEM_JSON, ASGIApp, Service, serve

from api_gateway.main import compose
from api_gateway.resources import Pace, Resources
from api_gateway.settings import Settings

Answer = Contract | SwitchboardError | Callable[[Any, Call], Awaitable[Contract]]
Connect = Callable[[Name], Awaitable[Bus]]

_PEERS = (Name.TENANT_SVC, Name.RAG_SVC, Name.CALL_ORCHESTRATOR)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that reached a peer."""

    contract: str
    body: Any
    call: Call


@dataclass
class Tenant:
    """A tenant as a customer knows it: its id and its key."""

    id: UUID
    api_key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.api_key}"}


@dataclass
class Peers:
    """Serves every method that the gateway may ask: with what :meth:`answer` was told, or with not-found."""

    buses: dict[Name, Bus]
    asked: list[Asked] = field(default_factory=list)
    _answers: dict[str, Answer] = field(default_factory=lambda: {LISTEN.contract(): Empty()})
    _keys: dict[str, tuple[str, UUID]] = field(default_factory=dict)

    @classmethod
    async def start(cls, connect: Connect) -> Peers:
        peers = cls({name: await connect(name) for name in _PEERS})
        for spec in RPCS:
            if Name.API_GATEWAY in spec.clients:
                await peers._serve(spec)
        for bus in peers.buses.values():
            await bus.flush()
        return peers

    def answer(self, spec: Rpc[Any, Any], answer: Answer) -> None:
        self._answers[spec.contract()] = answer

    def asked_for(self, spec: Rpc[Any, Any]) -> list[Asked]:
        return [asked for asked in self.asked if asked.contract == spec.contract()]

    async def new_tenant(self, secret: str = "a-secret-of-a-test") -> Tenant:  # noqa: S107
        """With a data key and an API key."""
        bus = self.buses[Name.TENANT_SVC]
        tenant_id = bus.ids.new()
        await bus.keyring.publish(tenant_id, bus.keyring.create(tenant_id))
        return Tenant(tenant_id, self.new_key(tenant_id, secret))

    def new_key(self, tenant_id: UUID, secret: str = "a-secret-of-a-test") -> str:  # noqa: S107
        """One more API key of that tenant."""
        key_id = self.buses[Name.TENANT_SVC].ids.new().hex
        self._keys[key_id] = (hashlib.sha256(secret.encode()).hexdigest(), tenant_id)
        return f"sb_{key_id}_{secret}"

    def revoke(self, api_key: str) -> None:
        del self._keys[api_key.split("_")[1]]

    async def _serve(self, spec: Rpc[Any, Any]) -> None:
        async def handler(body: Contract, call: Call) -> Contract:
            self.asked.append(Asked(spec.contract(), body, call))
            if spec is AUTHENTICATE and isinstance(body, Authenticate):
                return self._authenticate(body)
            answer = self._answers.get(spec.contract(), NotFound())
            if isinstance(answer, SwitchboardError):
                raise answer
            return answer if isinstance(answer, Contract) else await answer(body, call)

        await self.buses[spec.server].serve(spec, handler)

    def _authenticate(self, body: Authenticate) -> Actor:
        expected, tenant_id = self._keys.get(body.key_id, ("", None))
        if tenant_id is None or expected != body.secret_sha256:
            raise NotAuthenticated("that API key is not valid")
        return Actor(kind="api_key", id=body.key_id, tenant_id=tenant_id, roles=("owner",))


@dataclass
class RunningGateway:
    """``http`` speaks to it over a real socket."""

    service: Service[Settings]
    http: HttpClient
    base_url: str
    ended: asyncio.Task[int]
    resources: Resources


@asynccontextmanager
async def running_gateway(settings: Settings, pace: Pace | None = None) -> AsyncIterator[RunningGateway]:
    """The process that ``main`` runs, in this event loop, on a free port; drained at the end."""
    service = Service(Name.API_GATEWAY.value, settings)
    made: list[Resources] = []

    async def composed(it: Service[Settings]) -> ASGIApp:
        app = await compose(it)
        if pace is not None:
            app.state.resources = replace(app.state.resources, pace=pace)
        made.append(app.state.resources)
        return app

    ended = asyncio.create_task(serve(service, composed), name="gateway")
    try:
        base_url = await _serving(service, ended)
        async with client(base_url=base_url) as http:
            yield RunningGateway(service, http, base_url, ended, made[0])
    finally:
        service.stop()
        await ended


async def _serving(service: Service[Settings], ended: asyncio.Task[int]) -> str:
    async with asyncio.timeout(15):
        while True:
            assert not ended.done(), "the gateway ended while it was starting"
            if service.port:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
                except OSError:
                    pass
                else:
                    writer.close()
                    await writer.wait_closed()
                    return f"http://127.0.0.1:{service.port}"
            await asyncio.sleep(0.01)  # nothing tells that a listening socket is served but that it answers


def problem(response: HttpResponse, status: int) -> dict[str, Any]:
    """The problem that ``response`` is; asserts what every one of them has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_JSON
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["title"]
    assert found["instance"].endswith(response.headers["x-request-id"])
    assert response.headers["x-content-type-options"] == "nosniff"
    return found
