"""Secrets at rest: planted through the public API, then searched for in everything that is stored."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pyotp
import pytest
import pytest_asyncio
from api_gateway.settings import Settings as GatewaySettings
from api_gateway.testing import RunningGateway, running_gateway
from fleet.api_models import Account
from fleet.bus_fixtures import BusServer
from fleet.mailbox.box import Mailbox
from fleet.person import Browser, open_account
from fleet.servers import RedisServer
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from pydantic import SecretStr
from switchboard.audit import MASK
from switchboard.bus.topology import TENANT_KEYS
from switchboard.clock import SystemClock
from switchboard.console import ConsoleSettings
from switchboard.contracts.base import Service as Name
from switchboard.db import Connection, Database
from switchboard.keyring import Keyring
from switchboard.migrate import SCHEMAS
from switchboard.service import Service, serve
from switchboard.settings import BlobSettings, HttpSettings, LiveKitSettings, RedisSettings
from switchboard.testing.database import PASSWORDS, MigratedDatabase
from switchboard.wrapped import parse
from tenant_svc.audit.chains import key_purpose
from tenant_svc.main import compose
from tenant_svc.rotate import CREDENTIALS, PLATFORM_CREDENTIALS
from tenant_svc.rotation.service import Rotation
from tenant_svc.settings import OperatorsSettings, PlatformSettings, Settings
from tenant_svc.testing import CONSOLE, mail_settings, until

pytestmark = pytest.mark.integration

# -- what columns there are -------------------------------------------------------------------------------------------

COLUMNS = """
SELECT n.nspname || '.' || c.relname || '.' || a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1
"""
TELLING = ("password", "secret", "credential", "api_key", "private", "token", "wrapped", "sealed")
NO_CREDENTIAL = {
    "tenancy.api_keys.secret_sha256": "a hash of 256 random bits",
    "tenancy.links.secret_sha256": "a hash of 256 random bits",
    "tenancy.sessions.token_sha256": "a hash of 256 random bits",
    "tenancy.invitations.secret_sha256": "a hash of 256 random bits",
    "tenancy.accounts.password_hash": "Argon2id",
    "tenancy.links.password_hash": "Argon2id",
    "tenancy.data_keys.wrapped": "keys under the master key",
    "tenancy.audit_chains.key_wrapped": "a key under the master key",
}


async def test_every_column_with_a_credential_is_sealed_and_known_to_the_rotation(migrated: MigratedDatabase) -> None:
    conn = await asyncpg.connect(migrated.admin_dsn)
    columns = {row["name"]: row["type"] for row in await conn.fetch(COLUMNS, [schema.name for schema in SCHEMAS])}
    await conn.close()
    telling = {name for name in columns if any(word in name.rpartition(".")[2] for word in TELLING)}
    sealed = {name for name in columns if name.endswith("_sealed")}
    assert telling - sealed == set(NO_CREDENTIAL)
    assert sealed == {column.full for column in (*CREDENTIALS, *PLATFORM_CREDENTIALS)}
    assert {columns[name] for name in sealed} == {"bytea"}


# -- what is stored ---------------------------------------------------------------------------------------------------

TABLES = """
SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""


def forms(secret: bytes) -> list[bytes]:
    """``secret`` as it is, in hex, and in base64 wherever it begins in what was encoded."""
    found = [secret, secret.hex().encode()]
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + secret)
        found.append(text[4 if offset else 0 : -4])
    return found


def found_in(stored: bytes, planted: dict[str, bytes]) -> set[str]:
    """Which of ``planted`` stand in ``stored``, in whatever form."""
    low = stored.lower()
    return {name for name, secret in planted.items() if any(f in stored or f.lower() in low for f in forms(secret))}


async def database(dsn: str) -> bytes:
    """Every table there is, as ``COPY`` writes it: what a dump holds."""
    conn = await asyncpg.connect(dsn)
    parts: list[bytes] = []

    async def take(part: bytes) -> None:
        parts.append(part)

    for (table,) in await conn.fetch(TABLES):
        await conn.copy_from_query(f"SELECT * FROM {table}", output=take)
    await conn.close()
    return b"".join(parts)


async def streams(client: Client) -> bytes:
    """Every message of every stream, buckets too, with its headers."""
    js = client.jetstream()
    parts: list[bytes] = []
    for stream in await js.streams_info():
        state = stream.state
        for seq in range(max(1, state.first_seq), state.last_seq + 1):
            try:
                message = await js.get_msg(stream.config.name or "", seq)
            except NotFoundError:
                continue  # a newer entry of the bucket has taken its place
            parts += [(message.subject or "").encode(), message.data or b"", str(message.headers).encode()]
    return b"\n".join(parts)


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


# -- the fleet's part of it -------------------------------------------------------------------------------------------


@dataclass
class Filled:
    """A database and a broker filled through the public API, and what was planted in them."""

    gateway: RunningGateway
    settings: Settings
    database: MigratedDatabase
    bus: BusServer
    blobs: Path
    mailbox: Mailbox
    planted: dict[str, bytes] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)

    async def clinic(self, number: int) -> None:
        password = f"planted-{secrets.token_hex(12)}"
        email = f"office-{number}@sol.example"
        url = self.gateway.base_url
        owner = await open_account(url, self.mailbox, name="Sol", email=email, time_zone="Europe/Madrid")
        key = owner.api_key
        self.planted |= {
            f"password of {number}": owner.password.encode(),
            f"link of {number}": (await self.mailbox.link_to(email)).partition(".")[2].encode(),
            **(await self.second_factor(number, owner)),
            f"API key {number}": key.encode(),
            f"secret of API key {number}": key.split("_")[2].encode(),
            f"secret of API key {number}, raw": bytes.fromhex(key.split("_")[2]),
            f"SIP password {number}": password.encode(),
        }
        block = f"192.0.2.{number}/32"
        dialled = f"+3491100{number:04}"
        trunk = {"allowed_addresses": [block], "numbers": [dialled], "auth_username": "in-clear-on-purpose"}
        status, answer = await self.post("/v1/trunks", key, name="SBC", auth_password=password, **trunk)
        assert status == 201
        assert password not in str(answer)
        # Refused, with a password in the refused body; then asked for again.
        for path, body in (
            ("/v1/trunks", {"name": "", **trunk, "auth_password": password}),
            ("/v1/trunks", {"name": "Same numbers", **trunk, "auth_password": password}),
        ):
            status, answer = await self.post(path, key, **body)
            assert status in (409, 422)
            assert password not in str(answer)
        await self.post("/v1/locations", key, name="Centro", hours=[HOURS])
        await self.post("/v1/numbers", key, number=dialled, trunk=(await self.trunk_id(key)))
        await self.gateway.http.put("/v1/agent", json={"greeting": "in-the-snapshot"}, headers=bearer(key))
        assert (await self.post("/v1/live", key))[0] == 200
        self.audit = (await self.gateway.http.get("/v1/audit", headers=bearer(key))).json()

    async def second_factor(self, number: int, owner: Account) -> dict[str, bytes]:
        """What signing in and a second factor make, and a browser is shown."""
        async with Browser.open(self.gateway.base_url) as browser:
            await browser.ask("POST", "/auth/sign-in", {"email": owner.email, "password": owner.password})
            begun = await browser.ask("POST", "/me/second-factor")
            code = {"code": pyotp.TOTP(begun["secret"]).now()}
            codes = (await browser.ask("POST", "/me/second-factor/confirm", code))["codes"]
            # Left waiting, in the place of a mail that can't be sent.
            self.mailbox.away = True
            await browser.ask("POST", "/auth/link", {"email": owner.email})
            secret = base64.b32decode(begun["secret"])
            cookies = {f"{name} of {number}": value.encode() for name, value in browser.cookies.items()}
        planted = {f"authenticator of {number}": begun["secret"].encode(), f"the same of {number}, raw": secret}
        self.mailbox.away = False
        return planted | cookies | {f"recovery code {at} of {number}": code.encode() for at, code in enumerate(codes)}

    async def trunk_id(self, key: str) -> str:
        found = (await self.gateway.http.get("/v1/trunks", headers=bearer(key))).json()
        return str(found["trunks"][0]["trunk_id"]).replace("-", "")

    async def post(self, path: str, key: str | None, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {} if key is None else bearer(key)
        answer = await self.gateway.http.post(path, json=body or None, headers=headers)
        return answer.status_code, answer.json()

    async def keys(self) -> dict[str, bytes]:
        """What the master key protects, unwrapped: every tenant's data keys and audit key."""
        bus = await self.bus.connect(Name.TENANT_SVC)
        [master] = self.settings.sealing.masters()
        keyring = Keyring(master, bus.bucket(TENANT_KEYS), SystemClock())
        found: dict[str, bytes] = {"master key": master}
        conn = await asyncpg.connect(self.database.admin_dsn)
        for row in await conn.fetch("SELECT tenant_id, key_wrapped FROM tenancy.audit_chains"):
            found[f"audit key of {row['tenant_id']}"] = keyring.unwrap(
                row["key_wrapped"], key_purpose(row["tenant_id"])
            )
        for row in await conn.fetch("SELECT tenant_id, wrapped FROM tenancy.data_keys"):
            for number, key in enumerate(parse(row["wrapped"])):
                purpose = f"tenant-data-key|{row['tenant_id'].hex}"
                found[f"data key {number} of {row['tenant_id']}"] = keyring.unwrap(key.wrapped, purpose)
        await conn.close()
        return found


HOURS = {"day": "monday", "opens": "09:00", "closes": "18:00"}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest_asyncio.fixture
async def filled(
    bus_server: BusServer,
    migrated: MigratedDatabase,
    redis_server: RedisServer,
    mailbox: Mailbox,
    smtp_port: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> AsyncIterator[Filled]:
    assert capfd.readouterr() is not None  # what the services log from here on is kept
    blobs = tmp_path / "blobs"
    livekit = LiveKitSettings(
        url="ws://127.0.0.1:9", api_key="key", api_secret=SecretStr(f"planted-{secrets.token_hex(16)}")
    )
    values: dict[str, Any] = {
        "http": HttpSettings(port=0),
        "database": migrated.settings("tenant_svc", max_pool=8),
        "nats": bus_server.settings(Name.TENANT_SVC.value),
        "sealing": bus_server.sealing,
        "livekit": livekit,
        "blobs": BlobSettings(url=blobs.as_uri()),
        "platform": PlatformSettings(carrier_addresses=("127.0.0.1/32",)),
        "operators": OperatorsSettings(token=SecretStr(f"planted-{secrets.token_hex(16)}")),
        "console": ConsoleSettings(url=CONSOLE),
        "mail": mail_settings(smtp_port),
    }
    settings = Settings(**values)
    service = Service("tenant-svc", settings)
    running = asyncio.create_task(serve(service, compose))
    await until(lambda: service.port is not None or running.done())
    gateway_settings = GatewaySettings(
        http=HttpSettings(port=0),
        nats=bus_server.settings(Name.API_GATEWAY.value),
        sealing=bus_server.sealing,
        livekit=livekit,
        blobs=BlobSettings(url=blobs.as_uri()),
        redis=RedisSettings(url=SecretStr(redis_server.url)),
        console=settings.console,
    )
    async with running_gateway(gateway_settings) as gateway:
        made = Filled(gateway, settings, migrated, bus_server, blobs, mailbox)
        tokens = {"operators' token": settings.operators.token, "LiveKit's secret": livekit.api_secret}
        made.planted |= {name: token.get_secret_value().encode() for name, token in tokens.items()}
        made.planted |= {f"NATS password of {user}": word.encode() for user, word in bus_server.passwords.items()}
        made.planted |= {f"database password of {role}": word.encode() for role, word in PASSWORDS.items()}
        for number in (1, 2):
            await made.clinic(number)
        yield made
    service.stop()
    await running


async def quiet(conn: Connection) -> bool:
    """Everything that was told has been sent."""
    return not await conn.fetch("SELECT 1 FROM tenancy.outbox WHERE sent_at IS NULL")


async def test_nothing_that_is_stored_contains_a_secret(
    filled: Filled, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Also after the data keys were replaced, when there are two of each."""
    bus = await filled.bus.connect(Name.TENANT_SVC)
    async with Database.open(filled.settings.database, name="rotation") as db:
        rotation = Rotation(db, bus.keyring, tuple(CREDENTIALS.values()), SystemClock(), settle_s=0.0)
        assert (await rotation.data_keys(SystemClock().now())).credentials == 2
    conn = await asyncpg.connect(filled.database.admin_dsn)
    await until(lambda: quiet(conn))
    await conn.close()
    planted = filled.planted | await filled.keys()
    assert len(planted) > 20
    dump = await database(filled.database.admin_dsn)
    async with filled.bus.topology() as client:
        sent = await streams(client)

    # The search sees what is there in clear: in the table, in the bucket of snapshots, in the audit.
    assert found_in(dump, {"control": b"in-clear-on-purpose"}) == {"control"}
    assert found_in(sent, {"control": b"in-the-snapshot"}) == {"control"}
    assert MASK.encode() in dump
    assert found_in(dump, planted) == set()
    assert found_in(sent, planted) == set()
    stored = {path.name: found_in(data, planted) for path, data in files(filled.bus.host.folder / "nats" / "jetstream")}
    assert stored
    assert {name: names for name, names in stored.items() if names} == {}
    assert [path for path, data in files(filled.blobs) if found_in(data, planted)] == []
    # Where logs go depends on which tests have set them up before.
    records = [record.getMessage() for phase in ("setup", "call") for record in caplog.get_records(phase)]
    logged = "".join([*capfd.readouterr(), *records])
    assert "serving" in logged
    assert found_in(logged.encode(), planted) == set()


async def test_the_audit_is_read_through_the_public_api_with_its_secrets_masked(filled: Filled) -> None:
    lines = {line["action"]: line for line in filled.audit["lines"]}
    assert [line["seq"] for line in filled.audit["lines"]] == [7, 6, 5, 4, 3, 2, 1]
    trunk = lines["trunk.added"]
    assert trunk["after"]["auth_password"] == MASK
    assert trunk["origin"]["service"] == "tenant-svc"
    assert trunk["origin"]["ip"] == "127.0.0.1"
    assert trunk["origin"]["user_agent"].startswith("python-httpx")
    assert len(trunk["request_id"]) > 8
    assert lines["tenant.signed_up"]["actor"]["kind"] == "user"
    assert lines["tenant.signed_up"]["origin"]["ip"] == "127.0.0.1"
    assert found_in(str(filled.audit).encode(), filled.planted) == set()


def test_the_search_finds_a_secret_however_it_was_written_down() -> None:
    secret = {"s": b"planted-0123456789abcdef"}
    for before in (b"", b"a", b"ab", b"abc"):
        whole = before + secret["s"] + b"xyz"
        for stored in (whole, whole.hex().encode(), whole.hex().upper().encode(), base64.b64encode(whole)):
            assert found_in(b"..." + stored + b"...", secret) == {"s"}
    assert found_in(b"planted-0123456789abcdeX", secret) == set()
