"""Keys are replaced while others read and write, and the run is killed in the middle."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from fleet.bus_fixtures import BusServer, new_master_key
from switchboard.bus import Bus
from switchboard.bus.topology import AUDIT_HEADS, TENANT_KEYS
from switchboard.clock import SystemClock
from switchboard.contracts import tenants as contract
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.db import Connection, Database
from switchboard.errors import DeadlineExceeded, InvalidInput
from switchboard.keyring import Keyring
from switchboard.sealed import Sealed, SealError
from switchboard.settings import SealingSettings
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.verification import Verification
from tenant_svc.rotate import CREDENTIALS
from tenant_svc.rotation.service import Renewed, Rotation
from tenant_svc.settings import Settings
from tenant_svc.testing import Clinic, TenantSvc, environment, until
from tenant_svc.trunks.service import PASSWORD

pytestmark = pytest.mark.integration

CLINICS = 12
FRESH_S = 0.05
"""How long the readers of these tests believe what they have read."""

Loop = Callable[[int], Awaitable[None]]

WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'tenant-svc rotate' AND wait_event_type = 'Lock'"


@pytest.fixture
def coming() -> SealingSettings:
    """The master key that is to be in force."""
    return new_master_key()


@pytest_asyncio.fixture
async def settings(settings: Settings, coming: SealingSettings) -> Settings:
    """The fleet's second step: everybody opens with the coming master key, and nobody seals with it yet."""
    return settings.model_copy(update={"sealing": both(settings.sealing, coming)})


def both(first: SealingSettings, second: SealingSettings) -> SealingSettings:
    return SealingSettings(master_key=first.master_key, other_master_keys=(second.master_key,))


@pytest_asyncio.fixture
async def admin(tenant_svc: TenantSvc) -> AsyncIterator[Connection]:
    conn = await asyncpg.connect(tenant_svc.database.admin_dsn)
    yield conn
    await conn.close()


@pytest_asyncio.fixture
async def clinics(tenant_svc: TenantSvc) -> list[Clinic]:
    """Each with a trunk that has a password."""
    made = []
    for number in range(CLINICS):
        clinic = await tenant_svc.sign_up(f"Clinic {number}")
        await tenant_svc.ask(contract.CONNECT_TRUNK, trunk(number), clinic)
        made.append(clinic)
    return sorted(made, key=lambda clinic: clinic.tenant_id)


def trunk(number: int) -> contract.ConnectTrunk:
    return contract.ConnectTrunk(
        name="sbc",
        allowed_addresses=("192.0.2.1",),
        numbers=(f"+3491100{number:04}",),
        auth_username="sbc",
        auth_password=Sealed("the SBC's password"),
    )


def ring(bus: Bus, sealing: SealingSettings) -> Keyring:
    master, *others = sealing.masters()
    return Keyring(master, bus.bucket(TENANT_KEYS), SystemClock(), others=others, fresh_s=FRESH_S)


SEALED = "SELECT tenant_id, id, auth_password_sealed FROM tenancy.trunks"


async def passwords(conn: Connection, keyring: Keyring) -> list[str]:
    return [
        PASSWORD.open(await keyring.cipher(row["tenant_id"]), row["id"], row["auth_password_sealed"])
        for row in await conn.fetch(SEALED)
    ]


@dataclass
class Traffic:
    """Readers and writers beside a rotation. What goes wrong in one of them fails the test when they are stopped."""

    rounds: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def going_on(self, *loops: Loop) -> AsyncIterator[None]:
        over = asyncio.Event()

        async def again(name: str, loop: Loop) -> None:
            number = 0
            while not over.is_set():
                await loop(number)
                number += 1
                self.rounds[name] = number

        async with asyncio.TaskGroup() as group:
            for number, loop in enumerate(loops):
                group.create_task(again(f"{number}", loop))
            try:
                yield
                before = dict(self.rounds)
                await until(lambda: all(self.rounds[name] > before.get(name, 0) for name in self.rounds))
            finally:
                over.set()


@pytest.fixture
def loops(
    tenant_svc: TenantSvc, admin: Connection, own_bus: Bus, settings: Settings, clinics: list[Clinic]
) -> list[Loop]:
    """One opens every password there is, by its own keyring; one edits through the running service; one adds trunks."""
    keyring = ring(own_bus, settings.sealing)

    async def read(_number: int) -> None:
        assert set(await passwords(admin, keyring)) == {"the SBC's password"}

    async def edit(number: int) -> None:
        clinic = clinics[number % CLINICS]
        with suppress(DeadlineExceeded):  # a busy machine is no fault of the rotation's
            await tenant_svc.ask(contract.SET_AGENT, AgentConfiguration(greeting=f"{number}"), clinic)

    async def connect(number: int) -> None:
        if number < 3 * CLINICS:
            with suppress(DeadlineExceeded):
                await tenant_svc.ask(contract.CONNECT_TRUNK, trunk(100 + number), clinics[number % CLINICS])
        else:
            await asyncio.sleep(0.01)

    return [read, edit, connect]


async def process(settings: Settings, sealing: SealingSettings, *arguments: str) -> asyncio.subprocess.Process:
    others = ", ".join(f'"{key.get_secret_value()}"' for key in sealing.other_master_keys)
    variables = environment(settings) | {
        "SWITCHBOARD_SEALING__MASTER_KEY": sealing.master_key.get_secret_value(),
        "SWITCHBOARD_SEALING__OTHER_MASTER_KEYS": f"[{others}]",
        "SWITCHBOARD_DATABASE__LOCK_TIMEOUT_S": "60",  # the test holds what the run is to be killed at
        "SWITCHBOARD_DATABASE__STATEMENT_TIMEOUT_S": "60",
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tenant_svc.rotate", *arguments),
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finished(running: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(90):
        out, _ = await running.communicate()
    return running.returncode, out.decode()


async def killed_at(admin: Connection, tenant_id: UUID, running: asyncio.subprocess.Process) -> None:
    """Kill the run in the moment in which it waits for ``tenant_id``, whose keys are held."""
    async with admin.transaction():
        await admin.execute("SELECT 1 FROM tenancy.data_keys WHERE tenant_id = $1 FOR UPDATE", tenant_id)
        async with asyncio.timeout(60):
            while not await admin.fetchval(WAITING):
                assert running.returncode is None
                await asyncio.sleep(0.01)
                await admin.execute("SELECT pg_stat_clear_snapshot()")  # kept for the rest of a transaction otherwise
        running.kill()
        await running.wait()


async def under(admin: Connection, own_bus: Bus, sealing: SealingSettings) -> tuple[int, int, int]:
    """How many tenants' data keys (database, bucket) and audit keys ``sealing`` alone can open."""
    keyring = ring(own_bus, sealing)
    found = [0, 0, 0]
    for row in await admin.fetch("SELECT tenant_id, wrapped FROM tenancy.data_keys"):
        bucket = await own_bus.bucket(TENANT_KEYS).get(row["tenant_id"].hex)
        for place, value in enumerate((row["wrapped"], bucket)):
            try:
                keyring.opened(row["tenant_id"], value or b"")
            except SealError:
                continue
            found[place] += 1
    for row in await admin.fetch("SELECT tenant_id, key_wrapped FROM tenancy.audit_chains"):
        found[2] += keyring.is_current(row["key_wrapped"], f"audit-key|{row['tenant_id'].hex}")
    return found[0], found[1], found[2]


async def test_a_master_key_is_replaced_while_others_read_and_write_and_the_run_is_killed(
    tenant_svc: TenantSvc,
    settings: Settings,
    bus_server: BusServer,
    own_bus: Bus,
    admin: Connection,
    clinics: list[Clinic],
    coming: SealingSettings,
    loops: list[Loop],
) -> None:
    in_force = both(coming, bus_server.sealing)
    second = await asyncpg.connect(tenant_svc.database.admin_dsn)
    assert await under(second, own_bus, bus_server.sealing) == (CLINICS, CLINICS, CLINICS)
    traffic = Traffic()
    async with traffic.going_on(*loops):
        await killed_at(second, clinics[5].tenant_id, await process(settings, in_force, "master"))
        assert await under(second, own_bus, coming) == (5, 5, 5)
        assert await under(second, own_bus, bus_server.sealing) == (CLINICS - 5, CLINICS - 5, CLINICS - 5)

        code, said = await finished(await process(settings, in_force, "master"))

    assert (code, said) == (
        0,
        "12 tenants: 7 data keys and 7 audit keys rewrapped, 0 platform credentials sealed anew\n",
    )
    assert await under(second, own_bus, coming) == (CLINICS, CLINICS, CLINICS)
    assert await under(second, own_bus, bus_server.sealing) == (0, 0, 0)
    assert min(traffic.rounds.values()) > 0
    alone = ring(own_bus, coming)
    assert set(await passwords(second, alone)) == {"the SBC's password"}
    await second.close()
    async with Database.open(settings.database, name="verify") as db:
        verification = Verification(db, Anchors(db, own_bus.bucket(AUDIT_HEADS)), alone, SystemClock())
        assert [found.problem async for found in verification.all()] == [""] * CLINICS
    code, said = await finished(await process(settings, in_force, "master"))
    assert (code, said) == (
        0,
        "12 tenants: 0 data keys and 0 audit keys rewrapped, 0 platform credentials sealed anew\n",
    )


async def test_without_the_older_master_key_nothing_is_touched(
    settings: Settings,
    bus_server: BusServer,
    own_bus: Bus,
    admin: Connection,
    clinics: list[Clinic],
    coming: SealingSettings,
) -> None:
    assert clinics
    code, said = await finished(await process(settings, coming, "master"))
    assert (code, said) == (1, "")
    assert await under(admin, own_bus, bus_server.sealing) == (CLINICS, CLINICS, CLINICS)


async def test_data_keys_are_replaced_while_others_read_and_write_and_the_run_is_killed(
    tenant_svc: TenantSvc,
    settings: Settings,
    bus_server: BusServer,
    own_bus: Bus,
    admin: Connection,
    clinics: list[Clinic],
    loops: list[Loop],
) -> None:
    """The service in the test keeps its old keys for a minute, so it seals with them after the promotion, and is opened."""
    before = SystemClock().now()
    documents = {
        clinic.tenant_id: (await own_bus.keyring.cipher(clinic.tenant_id)).seal(b"a document", "p")
        for clinic in clinics
    }
    arguments = ("data-keys", "--made-before", before.isoformat(), "--settle-s", "2")
    second = await asyncpg.connect(tenant_svc.database.admin_dsn)
    traffic = Traffic()
    async with traffic.going_on(*loops):
        await killed_at(second, clinics[5].tenant_id, await process(settings, settings.sealing, *arguments))
        made = await second.fetch("SELECT 1 FROM tenancy.data_keys WHERE get_byte(wrapped, 0) = 2")
        assert len(made) == 5

        code, said = await finished(await process(settings, settings.sealing, *arguments))

    assert code == 0
    assert said.startswith("12 tenants: 7 data keys made, 12 begun to seal, ")
    assert min(traffic.rounds.values()) > 0
    keyring = ring(own_bus, settings.sealing)
    for clinic in clinics:
        keys = await keyring.cipher(clinic.tenant_id)
        assert keys.open(documents[clinic.tenant_id], "p") == b"a document"
        assert not keys.current(documents[clinic.tenant_id], "p")
    assert set(await passwords(second, keyring)) == {"the SBC's password"}
    # What the service sealed with the older key after the last pass is brought along by the next run; nothing is made anew.
    code, said = await finished(await process(settings, settings.sealing, *arguments))
    assert code == 0
    assert said.startswith("12 tenants: 0 data keys made, 0 begun to seal, ")
    for row in await second.fetch(SEALED):
        keys = await keyring.cipher(row["tenant_id"])
        assert PASSWORD.resealed(keys, row["id"], row["auth_password_sealed"]) is None
    await second.close()


async def test_each_pass_waits_until_everybody_has_read_the_bucket(
    db: Database, bus_server: BusServer, own_bus: Bus, clinics: list[Clinic], admin: Connection
) -> None:
    """Nothing seals with a key before the pause, and no credential is sealed anew before the second one."""
    seen: list[tuple[int, int]] = []

    async def pause(_seconds: float) -> None:
        keyring = ring(own_bus, bus_server.sealing)
        sealing_new = current = 0
        for row in await admin.fetch(SEALED):
            keys = await keyring.cipher(row["tenant_id"])
            probe = keys.seal(b"x", "p")
            sealing_new += not first[row["tenant_id"]].current(probe, "p")
            current += PASSWORD.resealed(keys, row["id"], row["auth_password_sealed"]) is None
        seen.append((sealing_new, current))

    first = {clinic.tenant_id: await own_bus.keyring.cipher(clinic.tenant_id) for clinic in clinics}
    rotation = Rotation(db, own_bus.keyring, tuple(CREDENTIALS.values()), SystemClock(), settle_s=1.0, pause=pause)
    done = await rotation.data_keys(SystemClock().now())
    assert done == Renewed(tenants=CLINICS, made=CLINICS, promoted=CLINICS, credentials=CLINICS)
    assert seen == [(0, CLINICS), (CLINICS, 0)]
    with pytest.raises(InvalidInput, match="future"):
        await rotation.data_keys(SystemClock().now() + timedelta(hours=1))
