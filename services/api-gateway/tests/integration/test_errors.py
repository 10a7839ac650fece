"""What is refused, and what a refusal looks like."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from api_gateway.tenants import schemas
from api_gateway.testing import Peers, RunningGateway, Tenant, problem
from structlog.testing import capture_logs
from switchboard.bus import Call
from switchboard.contracts import documents, snapshot, tenants
from switchboard.contracts.base import Contract
from switchboard.errors import Forbidden, InternalError, Unavailable

pytestmark = pytest.mark.integration


OURS = {"sec-fetch-site": "same-origin"}


async def test_wrong_fields_are_named_with_their_fix(gateway: RunningGateway, peers: Peers) -> None:
    form = {"email": "nobody-at-home", "colour": "blue", "password": ""}

    found = problem(await gateway.http.post("/v1/auth/sign-up", json=form, headers=OURS), 422)

    by_pointer = {error["pointer"]: error for error in found["errors"]}
    assert set(by_pointer) == {"/email", "/colour", "/password"}
    assert all(error["detail"] and error["fix"] for error in found["errors"])
    assert "office@clinic.example" in by_pointer["/email"]["fix"]
    assert "nobody-at-home" not in str(found), "input is never quoted"
    assert peers.asked == []


async def test_a_body_that_is_no_json_object(gateway: RunningGateway) -> None:
    json_type = "application/json"
    for content, kind in (("{", json_type), ("[]", json_type), ("name=x", "text/plain"), ("", json_type)):
        response = await gateway.http.post("/v1/auth/link", content=content, headers={**OURS, "content-type": kind})
        assert problem(response, 422)["errors"][0]["fix"].startswith("send a JSON object")


async def test_json_nested_beyond_reason_is_refused(gateway: RunningGateway) -> None:
    response = await gateway.http.post(
        "/v1/auth/link", content="[" * 100_000, headers={**OURS, "content-type": "application/json"}
    )
    assert problem(response, response.status_code)["status"] in (400, 422)


HOSTILE = ("*", ">", "x" * 32, "0" * 31, "0" * 33, "0" * 32 + "%0A", "%00" * 32, "٠" * 32,
           "urn:uuid:" + str(UUID(int=0)), "{" + str(UUID(int=0)) + "}", "0" * 16 + "." + "0" * 15)  # fmt: skip


WITH_IDS = (
    ("GET", "/v1/calls/{call_id}"),
    ("POST", "/v1/calls/{call_id}/end"),
    ("GET", "/v1/documents/{document_id}"),
    ("DELETE", "/v1/documents/{document_id}"),
    ("DELETE", "/v1/keys/{key_id}"),
    ("DELETE", "/v1/me/sessions/{session_id}"),
    ("PUT", "/v1/members/{user_id}"),
    ("DELETE", "/v1/members/{user_id}"),
    ("DELETE", "/v1/invitations/{invitation_id}"),
    ("DELETE", "/v1/support-access/{access_id}"),
    ("GET", "/v1/live/events?call_id={call_id}"),
)


async def test_hostile_ids_are_refused_before_any_request(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    for method, path in WITH_IDS:
        for hostile in HOSTILE:
            [name] = re.findall(r"{(\w+)}", path)
            address = path.format(**{name: hostile})
            response = await gateway.http.request(method, address, headers=tenant.headers)
            assert problem(response, 400)["errors"][0]["pointer"] == f"/{name}"
    assert peers.asked == [], "not even the key was looked up"


async def test_every_path_with_an_id_is_among_those(gateway: RunningGateway) -> None:
    paths = (await gateway.http.get("/v1/openapi.json")).json()["paths"]
    with_ids = {(method.upper(), path) for path, methods in paths.items() for method in methods if "{" in path}
    assert with_ids == {(method, path) for method, path in WITH_IDS if "?" not in path}


async def test_unknown_addresses_and_wrong_methods(gateway: RunningGateway, tenant: Tenant) -> None:
    problem(await gateway.http.get("/v1/nothing-here"), 404)
    problem(await gateway.http.get("/"), 404)
    problem(await gateway.http.get("/v1/tenant/", headers=tenant.headers), 404)
    response = await gateway.http.delete("/v1/documents")
    assert "GET, POST" in problem(response, 405)["detail"]
    assert response.headers["allow"] == "GET, POST"
    assert "GET" in problem(await gateway.http.post("/v1/openapi.json"), 405)["detail"]


async def test_errors_of_the_fleet_tell_nothing_of_its_inside(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    async def broken(body: Contract, call: Call) -> Contract:
        raise RuntimeError("secret of the database")

    peers.answer(tenants.GET_TENANT, broken)
    found = problem(await gateway.http.get("/v1/tenant", headers=tenant.headers), 500)
    assert "database" not in str(found)

    peers.answer(tenants.GET_TENANT, InternalError("table tenancy.tenants"))
    found = problem(await gateway.http.get("/v1/tenant", headers=tenant.headers), 500)
    assert "tenancy" not in str(found)

    peers.answer(tenants.GET_TENANT, Forbidden("the role `owner` is needed"))
    assert "owner" in problem(await gateway.http.get("/v1/tenant", headers=tenant.headers), 403)["detail"]

    peers.answer(tenants.GET_TENANT, Unavailable("the database is away"))
    response = await gateway.http.get("/v1/tenant", headers=tenant.headers)
    assert problem(response, 503)["retryable"] is True
    assert int(response.headers["retry-after"]) >= 1


async def test_a_bug_of_ours_is_a_problem_without_a_stack(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_contract: Contract) -> None:
        raise KeyError("inside")

    now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    peers.answer(tenants.PAUSE, tenants.Published(version=1, status=snapshot.TenantStatus.PAUSED, published_at=now))
    monkeypatch.setattr(schemas.PublishedShape, "of", broken)
    with capture_logs() as logs:
        response = await gateway.http.post("/v1/pause", headers=tenant.headers)
    found = problem(response, 500)
    assert "inside" not in str(found)
    assert "Traceback" not in str(found)
    assert [entry["error"] for entry in logs if entry["event"] == "request failed"] == ["KeyError"]


async def test_nobody_there_is_503_and_names_no_service(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    for bus in peers.buses.values():
        await bus.drain()
    response = await gateway.http.get("/v1/tenant", headers=tenant.headers)
    found = problem(response, 503)
    assert "tenants." not in str(found)
    assert response.headers["retry-after"]


async def test_the_body_limit_holds_announced_or_not(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 65_536

    announced = await gateway.http.put("/v1/agent", content=b" " * 200_000, headers=tenant.headers)
    problem(announced, 413)
    unannounced = await gateway.http.put("/v1/agent", content=endless(), headers=tenant.headers)
    problem(unannounced, 413)
    assert peers.asked == []


async def test_request_ids_come_back(gateway: RunningGateway) -> None:
    response = await gateway.http.get("/v1/nothing", headers={"x-request-id": "from-the-customer-1"})
    assert response.headers["x-request-id"] == "from-the-customer-1"


async def test_slow_owners_are_504(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    async def slow(body: Contract, call: Call) -> Contract:
        await asyncio.Event().wait()
        raise AssertionError

    peers.answer(documents.SEARCH, slow)
    response = await gateway.http.post("/v1/search", json={"query": "x"}, headers=tenant.headers)
    assert "rag" not in problem(response, 504)["detail"]
