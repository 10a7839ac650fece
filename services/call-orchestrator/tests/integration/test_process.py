"""The orchestrator as the process that ``python -m call_orchestrator`` runs, and its operators' pages over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from call_orchestrator.main import compose
from call_orchestrator.settings import CallsSettings, OperatorsSettings, Settings
from call_orchestrator.testing import NUMBER, admit_request, snapshot
from fleet.bus_fixtures import BusServer
from fleet.servers import LiveKitServer
from pydantic import SecretStr
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.contracts.base import Service as Name
from switchboard.contracts.calls import ADMIT, CallEnded, EndReason
from switchboard.http import HttpClient, client
from switchboard.service import Service, serve
from switchboard.settings import BlobSettings, HttpSettings, LiveKitSettings, SettingsError, load
from switchboard.snapshot import SnapshotWriter
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

TOKEN = "operators-token-of-this-test"
HEADERS = {"authorization": f"Bearer {TOKEN}"}


@pytest_asyncio.fixture
async def running(
    bus_server: BusServer, migrated: MigratedDatabase, livekit_server: LiveKitServer, tmp_path: Path
) -> AsyncIterator[HttpClient]:
    settings = Settings(
        http=HttpSettings(port=0),
        database=migrated.settings("call_orchestrator"),
        nats=bus_server.settings(Name.CALL_ORCHESTRATOR.value),
        sealing=bus_server.sealing,
        livekit=LiveKitSettings(
            url=livekit_server.url,
            api_key=livekit_server.api_key,
            api_secret=SecretStr(livekit_server.api_secret),
        ),
        blobs=BlobSettings(url=tmp_path.as_uri()),
        operators=OperatorsSettings(token=SecretStr(TOKEN)),
        calls=CallsSettings(database_patience_s=1.5),
    )
    service = Service(Name.CALL_ORCHESTRATOR.value, settings)
    ended = asyncio.create_task(serve(service, compose))
    async with asyncio.timeout(30):
        while service.port is None:
            assert not ended.done(), service.failure
            await asyncio.sleep(0.02)
    async with client(base_url=f"http://127.0.0.1:{service.port}") as http:
        yield http
    service.stop()
    assert await ended == 0


async def new_tenant(tenants: Bus, folder: Path) -> None:
    tenant_id = tenants.ids.new()
    await tenants.keyring.publish(tenant_id, tenants.keyring.create(tenant_id))
    writer = SnapshotWriter(tenants.bucket(SNAPSHOTS), Blobs.open(BlobSettings(url=folder.as_uri())))
    await writer.publish(snapshot(tenant_id))


async def test_the_process_admits_and_shows_operators_what_goes_on(
    running: HttpClient, bus_server: BusServer, tmp_path: Path
) -> None:
    tenants = await bus_server.connect(Name.TENANT_SVC)
    agent = await bus_server.connect(Name.VOICE_AGENT)
    await new_tenant(tenants, tmp_path)
    async with asyncio.timeout(15):
        sid = 0
        while True:
            sid += 1
            reply = await agent.request(ADMIT, admit_request(f"RM_{sid}"), tenant_id=None)
            if reply.decision.tenant_id is not None:
                break
            await asyncio.sleep(0.05)
    await agent.request(ADMIT, admit_request("RM_nobodys", "+15557654321"), tenant_id=None)

    live = (await running.get("/ops/live-calls", headers=HEADERS)).json()
    assert [(call["call_id"], call["state"], call["epoch"]) for call in live] == [(reply.call_id.hex, "admitted", 1)]
    assert NUMBER not in str(live)
    nobodys = (await running.get("/ops/unmatched-calls", headers=HEADERS)).json()
    assert nobodys[0]["dialled"] == "+15557654321"
    earlier = await running.get("/ops/unmatched-calls", params={"before": "2026-01-01T00:00:00Z"}, headers=HEADERS)
    assert earlier.json() == []
    naive = await running.get("/ops/unmatched-calls", params={"before": "2026-01-01T00:00:00"}, headers=HEADERS)
    assert naive.status_code in (400, 422)
    assert (await running.get("/health/ready")).status_code == 200


async def test_operators_drain_reconcile_and_see_dead_letters(running: HttpClient, bus_server: BusServer) -> None:
    assert (await running.put("/ops/drain", json={"on": True}, headers=HEADERS)).json() == {"on": True}
    assert (await running.get("/ops/drain", headers=HEADERS)).json() == {"on": True}
    assert (await running.put("/ops/drain", json={"no": 1}, headers=HEADERS)).status_code in (400, 422)
    assert (await running.post("/ops/reconcile", headers=HEADERS)).json()["written"] == 0
    tenants = await bus_server.connect(Name.TENANT_SVC)
    agent = await bus_server.connect(Name.VOICE_AGENT)
    tenant_id = tenants.ids.new()
    wrapped = tenants.keyring.create(tenant_id)
    await tenants.keyring.publish(tenant_id, wrapped)
    fact = CallEnded(
        tenant_id=tenant_id,
        call_id=tenants.ids.new(),
        epoch=1,
        seq=1,
        at=snapshot(tenant_id).published_at,
        room_sid="RM_1",
        reason=EndReason.AGENT_ENDED,
    )
    message = await agent.encode(fact)
    await tenants.keyring.destroy(tenant_id)
    await agent.publish(message.subject, message.payload, message.headers, message.id.hex)
    async with asyncio.timeout(15):
        while not (letters := (await running.get("/ops/dead-letters", headers=HEADERS)).json()):
            await asyncio.sleep(0.05)
    assert (letters[0]["contract"], letters[0]["consumer"]) == ("calls.ended/1", "call-orchestrator-calls")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}])
@pytest.mark.parametrize("path", ["live-calls", "unmatched-calls", "drain", "dead-letters"])
async def test_nobody_else_sees_them(running: HttpClient, headers: dict[str, str], path: str) -> None:
    answer = await running.get(f"/ops/{path}", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:switchboard:problem:not-authenticated")


def test_what_is_missing_is_listed_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {"SWITCHBOARD_OPERATORS__TOKEN": "short"})
    named = " ".join(caught.value.problems)
    for variable in ("DATABASE__DSN", "NATS__URL", "LIVEKIT__API_SECRET", "SEALING__MASTER_KEY", "OPERATORS__TOKEN"):
        assert f"SWITCHBOARD_{variable}" in named
    assert "short" not in named
