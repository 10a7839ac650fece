"""Every operation of the public API, with input that somebody made to hurt: SQL, NULs, giants, wrong types, broken JSON.

Whatever comes, it is the customer's fault and the answer says so: never a failure of ours, no trace of what runs inside,
nothing of another clinic, and nothing of what was sent.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from api_gateway.access.cookies import SESSION
from fleet.draw import Clinic
from fleet.e2e import RunningFleet
from fleet.person import Browser
from switchboard.http import HttpClient, HttpResponse, client

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]

SEED = 20270
CANARY = "canary-of-the-other-clinic"
MARK = "wolpertinger"
"""Stands in values that are sent, and must not come back in a refusal. (A field that is too many is named.)"""

STRINGS = (
    "",
    f"'; DROP TABLE tenancy.tenants; -- {MARK}",
    f"' OR '1'='1' {MARK}",
    f"\x00{MARK}",
    f"{MARK}\r\nx-injected: 1",
    MARK * 9000,
    f"../../../../etc/passwd {MARK}",
    f"${{jndi:ldap://{MARK}}}{{{{7*7}}}}%s%n",
    f"\u202e{MARK}\ufffe\U0010ffff",
    f"{MARK}*.>",
)
OTHERS: tuple[Any, ...] = (None, True, -1, 0, 2**63, -(2**200), 1.5, [], [[]], {}, {"inner": MARK}, [None] * 2000)
RAW = (
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"a": NaN}',
    b'{"name": "\\ud800"}',
    b'{"email": 1e999}',
    b"[" * 60_000,
    b'{"a":' * 20_000,
    b"null",
    b'"' + MARK.encode() + b'"',
)
PATHS = (
    "'",
    "%00",
    "%0d%0a",
    "..%2f..%2f",
    "%ff%fe",
    "1 OR 1=1",
    "*",
    "a" * 4000,
    "00000000-0000-7000-8000-000000000000",
)
PLAIN: dict[str, Any] = {
    "opens": "09:00",
    "closes": "18:00",
    "name": "Plain",
    "language": "en",
    "time_zone": "UTC",
    "allowed_addresses": ["192.0.2.9"],
    "numbers": ["+15550001111"],
    "number": "+15550001111",
    "trunk": "platform",
    "carrier_account": None,
    "auth_username": None,
    "auth_password": None,
    "forward_to": None,
    "stt": [],
    "llm": [],
    "tts": [],
    "embeddings": None,
    "email": "office@clinic.example",
    "password": "a few words to remember",
    "current": "a few other words",
    "tenant_id": str(UUID(int=7)),
    "token": f"{'0' * 32}.{'0' * 64}",
}
"""What fields take whose form the schema does not show."""
TELLING = (
    *(
        "Traceback",
        'File "',
        "asyncpg",
        "PostgresError",
        "syntax error",
        "relation ",
        "SELECT ",
        "INSERT INTO",
        "UPDATE ",
    ),
    *("tenancy.", "knowledge.", "calls.", "pg_", "redis", "nats", "switchboard.errors", "site-packages", "api_gateway"),
)


@dataclass
class Attack:
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path[:80]} {dict(self.headers)} {(self.body or b'')[:80]!r}"


def example(schema: Mapping[str, Any], root: Mapping[str, Any], name: str = "") -> Any:
    """Something that is let through, so that the hostile part alone is wrong."""
    if name in PLAIN:
        return PLAIN[name]
    while "$ref" in schema:
        schema = root["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], root)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        return {inner: example(part, root, inner) for inner, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"], root)]
    return {"integer": max(1, schema.get("minimum", 1)), "number": 1.0, "boolean": True}.get(str(kind), "2026-12-25")


def mutated(value: Any, hostile: Any) -> Iterator[Any]:
    """Copies of ``value`` with one part, at any depth, replaced; and with a part too many."""
    yield hostile
    if isinstance(value, dict):
        for name, part in value.items():
            for changed in mutated(part, hostile):
                yield {**value, name: changed}
        yield {**value, "surplus": hostile}
    if isinstance(value, list) and value:
        for changed in mutated(value[0], hostile):
            yield [changed]


def attacks(document: Mapping[str, Any]) -> Iterator[Attack]:
    for path, operations in document["paths"].items():
        for name, operation in operations.items():
            method = name.upper()
            stream = "text/event-stream" in str(operation["responses"])
            plain = path.replace("{", "").replace("}", "")
            if "{" in path:
                for part in PATHS:
                    yield Attack(method, path.partition("{")[0] + part + path.partition("}")[2])
            yield from _on_query(method, plain, operation, stream)
            if stream:
                continue
            for header in ("idempotency-key", "if-match", "content-type", "x-forwarded-for", "x-request-id"):
                for text in ("\xff\xfe", MARK * 900, "'; DROP TABLE x; --", '"' * 50):
                    yield Attack(method, plain, b"{}", {header: text})
            for raw in RAW:
                yield Attack(method, plain, raw, {"content-type": "application/json"})
            yield from _on_body(method, plain, operation, document)


def _on_query(method: str, path: str, operation: Mapping[str, Any], stream: bool) -> Iterator[Attack]:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            for text in ("'", "%00", "-1", "9" * 400, "a" * 5000, "%ff", "1%20OR%201=1", "%F0%9F%92%A9"):
                yield Attack(method, f"{path}?{parameter['name']}={text}")
    if not stream:
        yield Attack(method, f"{path}?{MARK}=1&{MARK}=2&%00")


def _on_body(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Attack]:
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        head = f'--b\r\ncontent-disposition: form-data; name="file"; filename="{MARK}\x00\'.pdf"\r\n\r\n'.encode()
        for data in (b"", b"%PDF-\x00" + MARK.encode(), b"\x00" * 5000, b"PK\x03\x04", b"\xff" * 100):
            yield Attack(
                method, path, head + data + b"\r\n--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}
            )
        for boundary in ("", "x" * 5000, "\xff"):
            yield Attack(method, path, head, {"content-type": f"multipart/form-data; boundary={boundary}"})
    if "application/json" not in content:
        return
    valid = example(content["application/json"]["schema"], document)
    for hostile in (*STRINGS, *OTHERS):
        for body in mutated(valid, hostile):
            yield Attack(method, path, json.dumps(body).encode(), {"content-type": "application/json"})


def complaints(attack: Attack, answer: HttpResponse) -> Iterator[str]:
    text = answer.text
    if answer.status_code >= 500:
        yield f"{answer.status_code}: {text[:200]}"
    if CANARY in text or CANARY in str(answer.headers):
        yield "shows the other clinic's"
    if answer.status_code < 400:
        return
    if answer.headers["content-type"] != "application/problem+json" or answer.json()["status"] != answer.status_code:
        yield f"{answer.status_code} is no problem document: {text[:200]}"
    if MARK in text:
        yield f"quotes what was sent: {text[:300]}"
    if "x-injected" in answer.headers:
        yield "a header was injected"
    yield from (f"tells {word!r}: {text[:300]}" for word in TELLING if word in text)


PEOPLE = ("auth", "me", "tenants", "keys", "members", "invitations", "support-access")
"""What follows /v1/ in what a person asks, by a session; everything else is asked by a key."""
SIGNING_OUT = ("DELETE", "/v1/me/session")


@asynccontextmanager
async def person(fleet: RunningFleet, clinic: Clinic) -> AsyncIterator[Browser]:
    """The owner of the clinic, signed in and there."""
    account = fleet.account(clinic)
    async with Browser.open(fleet.layout.api_url) as browser:
        await browser.ask("POST", "/auth/sign-in", {"email": account.email, "password": account.password})
        await browser.ask("POST", "/me/tenant", {"tenant_id": account.tenant_id})
        yield browser


def credentials(attack: Attack, key: str, owner: Browser) -> dict[str, str]:
    path = attack.path.partition("?")[0]
    if path.split("/")[2] not in PEOPLE or (attack.method, path) == SIGNING_OUT:
        return {"authorization": f"Bearer {key}"}
    return {"cookie": f"{SESSION}={owner.cookies[SESSION]}", "sec-fetch-site": "same-origin"}


async def sent(http: HttpClient, attack: Attack, credential: Mapping[str, str]) -> HttpResponse:
    headers = [(name.encode(), value.encode()) for name, value in credential.items()]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in attack.headers.items()]
    return await http.request(attack.method, attack.path, content=attack.body, headers=headers)


async def test_no_input_makes_the_api_fail_or_tell(running_fleet: RunningFleet) -> None:
    async with running_fleet.clinic(SEED + 1) as (other, _):
        await other.add_location(CANARY, notes=CANARY, address=CANARY)
    # From an address of its own: what it asks too often keeps nobody else from signing up.
    attacker = client(base_url=running_fleet.layout.api_url, local_address="127.0.0.3")
    async with running_fleet.clinic(SEED) as (api, clinic), attacker as http, person(running_fleet, clinic) as owner:
        assert api.api_key is not None
        document = (await http.get("/v1/openapi.json")).json()
        found: list[str] = []
        statuses: Counter[int] = Counter()
        tried: set[str] = set()
        queue = iter(list(attacks(document)))

        async def work() -> None:
            for attack in queue:
                credential = credentials(attack, str(api.api_key), owner)
                answer = await sent(http, attack, credential)
                while answer.status_code == 429:  # more than the fleet's limit in a minute
                    await asyncio.sleep(int(answer.headers["retry-after"]))
                    answer = await sent(http, attack, credential)
                statuses[answer.status_code] += 1
                tried.add(f"{attack.method} {attack.path.partition('?')[0]}")
                found.extend(f"{attack}: {complaint}" for complaint in complaints(attack, answer))

        await asyncio.gather(*(work() for _ in range(4)))
        running_fleet.view.line(f"  {sum(statuses.values())} hostile requests: {dict(sorted(statuses.items()))}")
        assert not found, f"{len(found)} complaints:\n" + "\n".join(found[:30])
        operations = {f"{name.upper()} {path}" for path, all_of in document["paths"].items() for name in all_of}
        plain = {one.replace("{", "").replace("}", "") for one in operations}
        assert plain <= tried, "an operation was left out"
        assert (await api.tenant()).tenant_id, "the clinic is still there"
        assert (await owner.ask("GET", "/me"))["tenant_id"], "and its owner is still signed in"
