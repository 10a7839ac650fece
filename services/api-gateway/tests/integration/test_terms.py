"""Idempotency keys, versions and cursors on their way to whoever owns what is asked for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from api_gateway.access.cookies import SESSION
from api_gateway.testing import Peers, RunningGateway, Tenant, problem
from switchboard.clock import SystemClock
from switchboard.contracts import calls, identity, keys, members, tenants
from switchboard.contracts.audit import LIST_AUDIT, AuditList
from switchboard.contracts.base import Actor, Empty, Rpc, Terms
from switchboard.contracts.documents import LIST_DOCUMENTS, DocumentList
from switchboard.contracts.snapshot import AgentConfiguration, Location, TenantStatus
from switchboard.contracts.tenants import TenantView
from switchboard.errors import InFlight, InvalidInput, PreconditionFailed
from switchboard.etags import etag
from switchboard.rights import Role
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

FORM = {"name": "Centro", "hours": [{"day": "monday", "opens": "09:00", "closes": "18:00"}]}
LOCATION = Location(id=uuid4(), name="Centro", address="", hours=(), notes="")


async def add(gateway: RunningGateway, tenant: Tenant, form: object, **headers: str) -> int:
    sent = tenant.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    return (await gateway.http.post("/v1/locations", json=form, headers=sent)).status_code


def terms(peers: Peers, spec: Rpc[Any, Any]) -> list[Terms | None]:
    return [asked.call.actor.terms for asked in peers.asked_for(spec)]


async def test_a_key_and_what_is_asked_for_reach_the_owner(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    peers.answer(tenants.ADD_LOCATION, LOCATION)
    forms: tuple[object, ...] = (FORM, dict(reversed(FORM.items())), FORM | {"address": ""}, FORM | {"notes": "x"})
    for form in forms:
        assert await add(gateway, tenant, form, idempotency_key="k") == 201
    assert await add(gateway, tenant, FORM) == 201
    same, order, default, other, unnamed = terms(peers, tenants.ADD_LOCATION)
    assert unnamed is None
    assert same is not None and other is not None
    assert same == order == default, "the same request, written differently"
    assert same.key == other.key == "k"
    assert same.request != other.request


async def test_the_same_body_at_another_address_is_another_request(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    headers = tenant.headers | {"idempotency-key": "k"}
    for path in ("/v1/live", "/v1/pause", "/v1/configuration/publish"):
        await gateway.http.post(path, headers=headers)
    specs = (tenants.GO_LIVE, tenants.PAUSE, tenants.PUBLISH)
    digests = {one.request for spec in specs for one in terms(peers, spec) if one is not None}
    assert len(digests) == 3


async def test_what_the_owner_says_about_a_key_is_told(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    headers = tenant.headers | {"idempotency-key": "k"}
    peers.answer(tenants.ADD_LOCATION, InFlight())
    busy = await gateway.http.post("/v1/locations", json=FORM, headers=headers)
    assert problem(busy, 409)["retryable"] is True
    assert busy.headers["retry-after"] == "1"
    peers.answer(tenants.ADD_LOCATION, InvalidInput("that idempotency key was used for another request"))
    problem(await gateway.http.post("/v1/locations", json=FORM, headers=headers), 422)


@pytest.mark.parametrize("key", ["", "x" * 201])
async def test_a_key_that_can_not_be_used(gateway: RunningGateway, peers: Peers, tenant: Tenant, key: str) -> None:
    assert await add(gateway, tenant, FORM, idempotency_key=key) == 422
    assert peers.asked_for(tenants.ADD_LOCATION) == []


def view(tenant: Tenant, greeting: str) -> TenantView:
    return TenantView(
        tenant_id=tenant.id,
        name="Sol",
        status=TenantStatus.DRAFT,
        time_zone="UTC",
        language="en",
        published_version=None,
        locations=(),
        holidays=(),
        numbers=(),
        agent=AgentConfiguration(greeting=greeting),
    )


async def test_what_is_edited_has_a_version_that_a_change_can_be_bound_to(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    before, after = view(tenant, "One"), view(tenant, "Two")
    peers.answer(tenants.GET_TENANT, before)
    peers.answer(tenants.SET_AGENT, after)
    got = await gateway.http.get("/v1/agent", headers=tenant.headers)
    assert got.json()["greeting"] == "One"
    assert got.headers["etag"] == f'"{etag(before.agent)}"'
    changed = await gateway.http.put(
        "/v1/agent", json={"greeting": "Two"}, headers=tenant.headers | {"if-match": got.headers["etag"]}
    )
    assert changed.headers["etag"] == f'"{etag(after.agent)}"' != got.headers["etag"]
    [asked] = terms(peers, tenants.SET_AGENT)
    assert asked == Terms(if_match=(etag(before.agent),))

    peers.answer(tenants.SET_AGENT, PreconditionFailed("it was changed meanwhile"))
    late = await gateway.http.put(
        "/v1/agent", json={"greeting": "Two"}, headers=tenant.headers | {"if-match": got.headers["etag"]}
    )
    problem(late, 412)

    peers.answer(tenants.SET_HOLIDAYS, after)
    got = await gateway.http.get("/v1/holidays", headers=tenant.headers)
    assert got.json() == {"holidays": []}
    changed = await gateway.http.put(
        "/v1/holidays", json={"holidays": []}, headers=tenant.headers | {"if-match": got.headers["etag"]}
    )
    assert changed.headers["etag"] == got.headers["etag"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("*", None), ('"a"', ("a",)), ('"a", "b"', ("a", "b")), ('W/"a"', ('W/"a"',)), ('""', ("",))],
)
async def test_how_if_match_is_read(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, sent: str, expected: tuple[str, ...] | None
) -> None:
    peers.answer(tenants.SET_AGENT, view(tenant, ""))
    answer = await gateway.http.put("/v1/agent", json={}, headers=tenant.headers | {"if-match": sent})
    assert answer.status_code == 200
    assert terms(peers, tenants.SET_AGENT) == [None if expected is None else Terms(if_match=expected)]


@pytest.mark.parametrize("sent", ["a", '"a', '"a" "b"', "", '"a", *', ", ".join(['"a"'] * 11), '"\x7f"'])
async def test_an_if_match_that_can_not_be_read(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, sent: str
) -> None:
    answer = await gateway.http.put("/v1/agent", json={}, headers=tenant.headers | {"if-match": sent})
    assert problem(answer, 422)["errors"][0]["fix"]
    assert peers.asked_for(tenants.SET_AGENT) == []


async def test_cursors_are_opaque_and_bound_to_list_and_tenant(
    gateway: RunningGateway, peers: Peers, tenant: Tenant
) -> None:
    other = await peers.new_tenant()
    peers.answer(calls.LIST_CALLS, calls.CallList(calls=(), next_cursor="inner-of-calls"))
    peers.answer(LIST_DOCUMENTS, DocumentList(documents=(), next_cursor="inner-of-documents"))
    peers.answer(LIST_AUDIT, AuditList(lines=(), next_cursor="l7"))
    paths: dict[str, Rpc[Any, Any]] = {
        "/v1/calls": calls.LIST_CALLS,
        "/v1/documents": LIST_DOCUMENTS,
        "/v1/audit": LIST_AUDIT,
    }
    cursors = {}
    for path, spec in paths.items():
        first = (await gateway.http.get(path, headers=tenant.headers)).json()
        cursors[path] = first["next_cursor"]
        assert "inner" not in cursors[path]
        following = await gateway.http.get(f"{path}?cursor={cursors[path]}", headers=tenant.headers)
        assert following.status_code == 200
        assert peers.asked_for(spec)[-1].body.cursor in ("inner-of-calls", "inner-of-documents", "l7")
    peers.asked.clear()
    for path, spec in paths.items():
        wrong = [cursor for of, cursor in cursors.items() if of != path]
        wrong += [cursors[path][:-2], cursors[path][1:], "l7", "x" * 700]
        for cursor in wrong:
            refused = await gateway.http.get(f"{path}?cursor={cursor}", headers=tenant.headers)
            assert problem(refused, 422)["errors"][0]["pointer"] == "/cursor"
        refused = await gateway.http.get(f"{path}?cursor={cursors[path]}", headers=other.headers)
        assert problem(refused, 422)["errors"][0]["pointer"] == "/cursor"
        assert peers.asked_for(spec) == []


async def test_what_people_create_may_be_made_again(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    """In a tenant, and where there is none yet."""
    person = Actor(kind="user", id=uuid4().hex, tenant_id=tenant.id, roles=("owner",), session_id=uuid4())
    peers.answer(identity.AUTHENTICATE_SESSION, person)
    headers = {"cookie": f"{SESSION}={'5e' * 32}", "sec-fetch-site": "same-origin", "idempotency-key": "k"}
    forms: dict[str, tuple[Rpc[Any, Any], dict[str, Any]]] = {
        "/v1/keys": (keys.NEW_KEY, {"name": "Booking", "scopes": ["calls:read"]}),
        "/v1/invitations": (members.INVITE, {"email": "a@b.example", "role": "staff"}),
        "/v1/support-access": (members.LET_SUPPORT_IN, {"minutes": 60, "reason": "x"}),
        "/v1/tenants": (identity.NEW_TENANT, {"name": "Sol", "time_zone": "UTC"}),
    }
    for path, (spec, form) in forms.items():
        peers.answer(spec, InFlight())
        problem(await gateway.http.post(path, json=form, headers=headers), 409)
        [asked], [sent] = peers.asked_for(spec), terms(peers, spec)
        assert sent is not None
        assert sent.key == "k"
        assert asked.call.tenant_id == (None if path == "/v1/tenants" else tenant.id)


async def test_a_members_role_has_a_version(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    now = SystemClock().now()
    user_id = uuid4()

    def member(role: Role) -> members.MemberView:
        return members.MemberView(
            user_id=user_id, email=Sealed("a@b.example"), role=role, second_factor=False, since=now
        )

    peers.answer(members.LIST_MEMBERS, members.MemberList(members=(member(Role.STAFF),)))
    peers.answer(members.SET_ROLE, member(Role.ADMIN))
    peers.answer(members.REMOVE_MEMBER, Empty())
    [listed] = (await gateway.http.get("/v1/members", headers=tenant.headers)).json()["members"]
    headers = tenant.headers | {"if-match": listed["etag"]}
    changed = await gateway.http.put(f"/v1/members/{user_id}", json={"role": "admin"}, headers=headers)
    assert changed.headers["etag"] == changed.json()["etag"] != listed["etag"]
    assert (await gateway.http.delete(f"/v1/members/{user_id}", headers=headers)).status_code == 204
    expected = Terms(if_match=(etag(members.SetRole(user_id=user_id, role=Role.STAFF)),))
    assert [*terms(peers, members.SET_ROLE), *terms(peers, members.REMOVE_MEMBER)] == [expected, expected]
