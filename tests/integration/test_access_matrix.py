"""Every public operation, asked by everybody who might: the gateway and the services behind it, on real servers.

An operation that has no row here fails the build. Another tenant's resource is not found, a missing right is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from api_gateway.app import bare_app
from fleet.actors import CANARY, Town
from fleet.prove import Tried
from switchboard.contracts.identity import MIN_PASSWORD
from switchboard.rights import KEY_SCOPES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ACTORS = ("anonymous", "foreign_owner", "read_only", "staff", "admin", "owner", "support", "key", "other_key")
PEOPLE = "foreign_owner read_only staff admin owner support"
Body = dict[str, Any] | Callable[[Town], dict[str, Any]]


@dataclass(frozen=True)
class Row:
    """``right`` is named to whoever lacks it; ``allowed`` are those who have it, beside a key that has it as its scope.

    ``ok``: what the allowed get when it isn't the operation's own success; ``with_factor``: who has a second factor already.
    ``names_ours``: the body names something of our clinic's.
    """

    right: str
    allowed: str
    body: Body | None = None
    ok: int | None = None
    with_factor: int | None = None
    names_ours: bool = False

    def has(self, actor: str) -> bool:
        if actor == "key":
            return self.right in set(KEY_SCOPES)
        return actor in self.allowed.split()


LOOKING = "read_only staff admin owner support"
WORKING = "staff admin owner"
DECIDING = "admin owner"
AN_ID = str(UUID(int=7))
SET_STATUS = "UPDATE tenancy.tenants SET status = $2 WHERE tenant_id = $1"


def number(town: Town) -> dict[str, Any]:
    return {"number": town.number()}


def trunk(town: Town) -> dict[str, Any]:
    count = town.unique()
    return {"name": "SBC", "allowed_addresses": [f"198.51.100.{count % 250}"], "numbers": [town.number()]}


def guest(town: Town) -> dict[str, Any]:
    return {"email": f"guest-{town.unique()}@guest.example", "role": "staff"}


TENANTS: dict[str, Row] = {
    "GET /v1/tenant": Row("settings:read", LOOKING),
    "GET /v1/agent": Row("settings:read", LOOKING),
    "GET /v1/holidays": Row("settings:read", LOOKING),
    "GET /v1/trunks": Row("settings:read", LOOKING),
    "GET /v1/providers": Row("settings:read", LOOKING),
    "POST /v1/numbers/preview": Row(
        "settings:read", LOOKING, lambda town: {"number": town.ours.number}, names_ours=True
    ),
    "POST /v1/locations": Row("settings:write", DECIDING, {"name": "Sur"}),
    "PUT /v1/holidays": Row("settings:write", DECIDING, {"holidays": []}),
    "PUT /v1/agent": Row("settings:write", DECIDING, {"greeting": "Hello"}),
    "POST /v1/numbers": Row("numbers:write", DECIDING, number),
    "POST /v1/trunks": Row("numbers:write", DECIDING, trunk),
    "POST /v1/configuration/publish": Row("live:write", DECIDING),
    "POST /v1/live": Row("live:write", DECIDING),
    "POST /v1/pause": Row("live:write", DECIDING),
    "GET /v1/audit": Row("audit:read", f"{DECIDING} support"),
    "GET /v1/documents": Row("documents:read", LOOKING),
    "GET /v1/documents/{document_id}": Row("documents:read", LOOKING),
    "POST /v1/search": Row("documents:read", LOOKING, {"query": "how much is a cleaning"}),
    "POST /v1/documents": Row("documents:write", WORKING),
    "DELETE /v1/documents/{document_id}": Row("documents:write", WORKING),
    "GET /v1/calls": Row("calls:read", LOOKING),
    "GET /v1/calls/{call_id}": Row("calls:read", LOOKING),
    "GET /v1/live/events": Row("calls:read", LOOKING),
    "POST /v1/calls/{call_id}/end": Row("calls:end", WORKING),
    "GET /v1/keys": Row("keys:read", DECIDING),
    "POST /v1/keys": Row("keys:write", DECIDING, {"name": "x", "scopes": ["calls:read"]}),
    "DELETE /v1/keys/{key_id}": Row("keys:write", DECIDING),
    "GET /v1/members": Row("members:read", WORKING),
    "PUT /v1/members/{user_id}": Row("members:write", DECIDING, {"role": "read_only"}),
    "DELETE /v1/members/{user_id}": Row("members:write", DECIDING),
    "GET /v1/invitations": Row("members:read", WORKING),
    "POST /v1/invitations": Row("members:write", DECIDING, guest),
    "DELETE /v1/invitations/{invitation_id}": Row("members:write", DECIDING),
    "GET /v1/support-access": Row("audit:read", f"{DECIDING} support"),
    "POST /v1/support-access": Row("support:write", "owner", {"minutes": 60, "reason": "x"}),
    "DELETE /v1/support-access/{access_id}": Row("support:write", "owner"),
}
FOR_PEOPLE = "this is for people"
PERSONS: dict[str, Row] = {
    "GET /v1/me": Row(FOR_PEOPLE, PEOPLE),
    "DELETE /v1/me/session": Row(FOR_PEOPLE, PEOPLE),
    "GET /v1/me/sessions": Row(FOR_PEOPLE, PEOPLE),
    "PUT /v1/me/password": Row(FOR_PEOPLE, PEOPLE, {"current": "x", "password": "y" * MIN_PASSWORD}, ok=422),
    "POST /v1/me/second-factor/confirm": Row(FOR_PEOPLE, PEOPLE, {"code": "123456"}, ok=409),
    "POST /v1/me/second-factor/disable": Row(FOR_PEOPLE, PEOPLE, {"code": "wrong"}, ok=409, with_factor=422),
    "POST /v1/me/invitations": Row(FOR_PEOPLE, PEOPLE, {"token": f"{AN_ID.replace('-', '')}.{'0' * 64}"}, ok=404),
    "POST /v1/tenants": Row(FOR_PEOPLE, PEOPLE, {"name": "Another", "time_zone": "UTC"}),
    "POST /v1/me/second-factor": Row(FOR_PEOPLE, PEOPLE, with_factor=409),
}
"""What concerns the one who asks, whatever they are in a tenant."""

OWN: dict[str, Row] = {
    "DELETE /v1/me/sessions/{session_id}": Row(FOR_PEOPLE, "owner"),
    "POST /v1/me/tenant": Row(FOR_PEOPLE, LOOKING, lambda town: {"tenant_id": str(town.ours.tenant_id)}),
}
"""Of the owner: to everybody else, also of the same tenant, it is not there."""

NO_BROWSER = "programs use API keys"
EVERYBODY: dict[str, Row] = {
    "POST /v1/auth/sign-up": Row(NO_BROWSER, "", {"email": "a@b.example"}),
    "POST /v1/auth/link": Row(NO_BROWSER, "", {"email": "a@b.example"}),
    "POST /v1/auth/reset": Row(NO_BROWSER, "", {"email": "a@b.example"}),
    "POST /v1/auth/sign-in": Row(NO_BROWSER, "", {"email": "a@b.example", "password": "x"}, ok=401),
    "POST /v1/auth/redeem": Row(NO_BROWSER, "", {"token": "x"}, ok=401),
    "POST /v1/auth/second-factor": Row(NO_BROWSER, "", {"code": "123456"}, ok=401),
}
"""Who comes with a browser, whoever they are."""
MATRIX = TENANTS | PERSONS | OWN | EVERYBODY


def operations() -> dict[str, int]:
    """Of the OpenAPI document, each with the status of its success."""
    return {
        f"{method.upper()} {path}": min(int(status) for status in operation["responses"] if status.isdigit())
        for path, methods in bare_app().openapi()["paths"].items()
        for method, operation in methods.items()
    }


SUCCESS = operations()


def test_every_public_operation_has_its_row() -> None:
    assert set(MATRIX) == set(SUCCESS), "say in the matrix who may do it"


def expected(operation: str, actor: str) -> int:
    row = MATRIX[operation]
    success = row.ok or SUCCESS[operation]
    if actor == "support":
        success = row.with_factor or success
    if operation in EVERYBODY:
        return 403 if "key" in actor else success
    if actor == "anonymous":
        return 401
    if operation in PERSONS:
        return success if row.has(actor) else 403
    if operation in OWN:
        return 403 if "key" in actor else success if row.has(actor) else 404
    if actor == "foreign_owner":
        return 404 if "{" in operation or row.names_ours else success
    return success if row.has(actor) else 403


@dataclass(frozen=True)
class Attempt:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


async def prepared(town: Town, operation: str, actor: str) -> Attempt:
    """One attempt, on a fresh thing of our clinic's."""
    row = MATRIX[operation]
    method, _, path = operation.partition(" ")
    for parameter in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{parameter}}}", str(await town.fresh(parameter)))
    scope = row.right if row.right in set(KEY_SCOPES) else "documents:read"
    headers = dict(await town.headers(actor, scope))
    body: dict[str, Any] = {}
    if operation == "POST /v1/documents":
        body = {"files": {"file": ("a.txt", f"text {town.unique()}".encode(), "text/plain")}}
    elif row.body is not None:
        body = {"json": row.body(town) if callable(row.body) else row.body}
    return Attempt(method, path, headers, body)


async def sent(town: Town, attempt: Attempt) -> tuple[int, str, str]:
    """Status, body and headers."""
    async with town.http.stream(attempt.method, attempt.path, headers=attempt.headers, **attempt.body) as response:
        endless = response.headers.get("content-type", "").startswith("text/event-stream")
        text = "" if endless else (await response.aread()).decode()
    return response.status_code, text, str(response.headers)


def wrong(operation: str, actor: str, status: int, text: str, headers: str) -> list[str]:
    found = []
    wanted = expected(operation, actor)
    if status != wanted:
        found.append(f"{operation} as {actor}: {status} instead of {wanted}: {text[:200]}")
    if status == 403 and MATRIX[operation].right not in text:
        found.append(f"{operation} as {actor}: the 403 does not name {MATRIX[operation].right}: {text[:200]}")
    stranger = actor in ("anonymous", "foreign_owner") or status >= 400
    if stranger and CANARY in text + headers and operation not in ("GET /v1/me",):
        found.append(f"{operation} as {actor}: shows what our clinic wrote: {text[:200]}")
    return found


async def test_everybody_gets_what_the_matrix_says_of_every_operation(town: Town, record_property: Tried) -> None:
    complaints = []
    for operation in MATRIX:
        for actor in ACTORS:
            complaints += wrong(operation, actor, *await sent(town, await prepared(town, operation, actor)))
    assert complaints == []
    record_property("requests of the matrix", len(MATRIX) * len(ACTORS))


async def test_the_canary_is_there_to_be_seen(town: Town) -> None:
    """For who may: what the others are not shown exists."""
    seen = {}
    for operation in SUCCESS:
        if operation.startswith("GET ") and operation != "GET /v1/live/events":
            status, text, _ = await sent(town, await prepared(town, operation, "owner"))
            seen[operation] = status == 200 and CANARY in text
    assert sorted(operation for operation, there in seen.items() if not there) == [
        "GET /v1/me/sessions",
        "GET /v1/providers",
    ]


async def test_a_suspended_clinic_reads_what_it_could_and_changes_nothing(town: Town, record_property: Tried) -> None:
    """How it becomes suspended has tests of its own. What a person does with their own account goes on."""
    attempts = [
        (operation, actor, await prepared(town, operation, actor))
        for operation in TENANTS
        for actor in ("owner", "staff", "key")
    ]
    mine, theirs = await prepared(town, "GET /v1/me", "owner"), await prepared(town, "PUT /v1/agent", "foreign_owner")
    back = await prepared(town, "PUT /v1/agent", "owner")
    await town.conn.execute(SET_STATUS, town.ours.tenant_id, "suspended")
    complaints = []
    for operation, actor, attempt in attempts:
        status, text, _ = await sent(town, attempt)
        changes = not MATRIX[operation].right.endswith(":read")
        wanted = 403 if changes else expected(operation, actor)
        told = "suspended" in text or not (changes and MATRIX[operation].has(actor))
        if status != wanted or not told:
            complaints.append(f"{operation} as {actor}: {status} instead of {wanted}: {text[:200]}")
    assert complaints == []
    assert [(await sent(town, attempt))[0] for attempt in (mine, theirs, back)] == [200, 200, 403]
    await town.conn.execute(SET_STATUS, town.ours.tenant_id, "paused")
    assert (await sent(town, back))[0] == 200
    record_property("requests of a suspended clinic", len(attempts) + 4)


async def test_no_header_or_field_says_which_tenant_one_is(town: Town) -> None:
    """Nor what role one has: a tenant comes from the credential alone."""
    ours = str(town.ours.tenant_id)
    owner = dict(await town.headers("foreign_owner", ""))
    for header in ("x-tenant", "x-tenant-id", "tenant-id", "x-switchboard-tenant", "switchboard-actor"):
        response = await town.ask("GET", "/v1/tenant", {**owner, header: ours})
        assert response.json()["tenant_id"] == str(town.theirs.tenant_id)
    extras: tuple[dict[str, Any], ...] = (
        {"tenant_id": ours},
        {"tenant": ours},
        {"role": "owner"},
        {"roles": ["owner"]},
        {"actor": {}},
    )
    for extra in extras:
        response = await town.ask("POST", "/v1/locations", owner, json={"name": "x", **extra})
        assert response.status_code == 422
    response = await town.ask("GET", f"/v1/tenant?tenant_id={ours}", owner)
    assert response.json()["tenant_id"] == str(town.theirs.tenant_id)
