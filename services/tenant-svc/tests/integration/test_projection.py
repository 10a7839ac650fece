"""From PostgreSQL into the buckets of the bus, whatever happens to the buckets."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from switchboard.blobs import Blobs
from switchboard.bus import Bus, Delivery
from switchboard.bus.topology import AUDIT_HEADS, SNAPSHOTS, TENANT_KEYS
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Empty
from switchboard.contracts.snapshot import TenantStatus
from switchboard.db import Database
from switchboard.sealed import SealError
from switchboard.snapshot import SnapshotWriter
from tenant_svc.audit.anchors import Anchors
from tenant_svc.erasers import STORES, erasers
from tenant_svc.settings import Settings
from tenant_svc.snapshots.service import Projection, Rebuilt
from tenant_svc.testing import Clinic, TenantSvc, environment, until

pytestmark = pytest.mark.integration

NUMBER = "+34911000201"
TENANT_ROW = "SELECT 1 FROM tenancy.tenants WHERE tenant_id = $1"


def writer(bus: Bus, settings: Settings) -> SnapshotWriter:
    return SnapshotWriter(bus.bucket(SNAPSHOTS), Blobs.open(settings.blobs))


async def run(*command: str, environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and standard output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def empty(tenant_svc: TenantSvc, bus: Bus, clinics: list[Clinic]) -> None:
    """Both buckets, with nothing on its way into them."""
    await tenant_svc.settled()
    for clinic in clinics:
        await bus.bucket(SNAPSHOTS).purge(clinic.tenant_id.hex)
        await bus.bucket(TENANT_KEYS).purge(clinic.tenant_id.hex)


async def test_the_command_fills_emptied_buckets_and_then_has_nothing_to_do(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus
) -> None:
    clinics = [await tenant_svc.ready_clinic(f"{NUMBER[:-1]}{digit}") for digit in range(3)]
    for clinic in clinics[:2]:
        await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    before = [await tenant_svc.snapshot(clinic) for clinic in clinics]
    await empty(tenant_svc, own_bus, clinics)
    assert [await tenant_svc.snapshot(clinic) for clinic in clinics] == [None] * 3

    code, said = await run("tenant_svc.rebuild", environment=environment(settings))

    assert (code, said) == (0, "2 published tenants: 2 snapshots and 3 keys written\n")
    assert [await tenant_svc.snapshot(clinic) for clinic in clinics] == before
    # What was sealed under the key before it was lost can be opened with the restored one.
    await own_bus.keyring.cipher(clinics[2].tenant_id)
    again = (await tenant_svc.operate("POST", "/ops/snapshots/rebuild")).json()
    assert again == {"tenants": 2, "snapshots": 0, "keys": 0}


async def test_a_service_that_starts_fills_what_the_buckets_lack(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus
) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.publish(clinic)
    await empty(tenant_svc, own_bus, [clinic])

    async def filled() -> bool:
        return await tenant_svc.snapshot(clinic) is not None

    async with Database.open(settings.database, name="second replica") as db:
        projection = Projection(db, writer(own_bus, settings), own_bus.bucket(TENANT_KEYS))
        sweeping = asyncio.create_task(projection.sweep(3600))
        await until(filled)
        sweeping.cancel()


async def test_a_stale_version_never_replaces_a_newer_one(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus
) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.publish(clinic)
    first = await tenant_svc.snapshot(clinic)
    assert first is not None
    await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    newest = await tenant_svc.snapshot(clinic)
    snapshots = writer(own_bus, settings)
    assert not await snapshots.publish(first)
    async with Database.open(settings.database, name="late consumer") as db:
        projection = Projection(db, snapshots, own_bus.bucket(TENANT_KEYS))
        fact = contract.ConfigurationPublished(tenant_id=clinic.tenant_id, at=datetime.now(UTC), version=1)
        delivery = Delivery(own_bus.ids.new(), 1, fact.subject())
        await projection.on_published(fact, delivery)
        assert await tenant_svc.snapshot(clinic) == newest
        # The fact of an old version brings the newest one when the bucket has nothing; the same message does so once.
        await empty(tenant_svc, own_bus, [clinic])
        await projection.on_published(fact, delivery)
        assert await tenant_svc.snapshot(clinic) is None
        await projection.on_published(fact, Delivery(own_bus.ids.new(), 1, fact.subject()))
        assert await tenant_svc.snapshot(clinic) == newest


async def test_the_fact_alone_brings_the_snapshot_when_the_hint_was_lost(
    tenant_svc: TenantSvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)

    async def lost(self: Projection, tenant_id: object) -> None:
        return

    async def there() -> bool:
        return await tenant_svc.snapshot(clinic) is not None

    monkeypatch.setattr(Projection, "project", lost)
    await tenant_svc.publish(clinic)
    await until(there)


async def test_a_key_that_is_being_destroyed_does_not_come_back(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus
) -> None:
    clinic = await tenant_svc.ready_clinic(NUMBER)
    await tenant_svc.publish(clinic)
    await empty(tenant_svc, own_bus, [clinic])
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def somebody_waits() -> bool:
        return bool(await tenant_svc.rows(waiting))

    async with Database.open(settings.database, name="sweep beside an erasure") as db:
        projection = Projection(db, writer(own_bus, settings), own_bus.bucket(TENANT_KEYS))
        async with db.tenant(clinic.tenant_id) as conn:
            await conn.execute("SELECT tenancy.erase_tenant($1)", clinic.tenant_id)
            rebuilding = asyncio.create_task(projection.rebuild())
            await until(somebody_waits)
        assert await rebuilding == Rebuilt(tenants=0, snapshots=0, keys=0)
    assert await own_bus.bucket(TENANT_KEYS).get(clinic.tenant_id.hex) is None
    assert await tenant_svc.snapshot(clinic) is None


async def test_an_erased_tenant_is_gone_everywhere_and_stays_so(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus
) -> None:
    clinic, other = await tenant_svc.ready_clinic(NUMBER), await tenant_svc.ready_clinic("+34911000299")
    for each in (clinic, other):
        await tenant_svc.ask(contract.GO_LIVE, Empty(), each)
    async with Database.open(settings.database, name="erasure") as db:
        anchors = Anchors(db, own_bus.bucket(AUDIT_HEADS))
        await until(lambda: _anchored(anchors, clinic.tenant_id))
        for eraser in erasers(db, writer(own_bus, settings), anchors, own_bus.keyring):
            assert await eraser.erase(clinic.tenant_id) > 0
        for eraser in erasers(db, writer(own_bus, settings), anchors, own_bus.keyring):
            await eraser.erase(clinic.tenant_id)
        rebuilt = await Projection(db, writer(own_bus, settings), own_bus.bucket(TENANT_KEYS)).rebuild()
    assert rebuilt == Rebuilt(tenants=1, snapshots=0, keys=0)
    assert clinic.tenant_id not in await anchors.tenants()
    assert await tenant_svc.snapshot(clinic) is None
    with pytest.raises(SealError):
        await own_bus.keyring.cipher(clinic.tenant_id)
    tables = await tenant_svc.rows(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'tenancy' AND column_name = 'tenant_id'"
    )
    assert len(tables) > 15
    for row in tables:
        query = f"SELECT 1 FROM tenancy.{row['table_name']} WHERE tenant_id = $1"
        assert await tenant_svc.rows(query, clinic.tenant_id) == [], row["table_name"]
    live = await tenant_svc.snapshot(other)
    assert live is not None
    assert live.status is TenantStatus.LIVE
    assert STORES == ("postgres.tenancy", "bus.snapshots", "bus.audit-heads", "bus.tenant-keys")


@pytest.mark.parametrize("store", STORES)
async def test_each_eraser_erases_its_own_store_and_nothing_else(
    tenant_svc: TenantSvc, settings: Settings, own_bus: Bus, store: str
) -> None:
    clinic, other = await tenant_svc.ready_clinic(NUMBER), await tenant_svc.ready_clinic("+34911000299")
    for each in (clinic, other):
        await tenant_svc.ask(contract.GO_LIVE, Empty(), each)
    async with Database.open(settings.database, name="erasure") as db:
        anchors = Anchors(db, own_bus.bucket(AUDIT_HEADS))
        await until(lambda: _anchored(anchors, clinic.tenant_id))
        await until(lambda: _anchored(anchors, other.tenant_id))
        (eraser,) = (
            one for one in erasers(db, writer(own_bus, settings), anchors, own_bus.keyring) if one.store == store
        )
        assert await eraser.erase(clinic.tenant_id) > 0

        async def kept(tenant_id: UUID) -> dict[str, bool]:
            return {
                "postgres.tenancy": bool(await tenant_svc.rows(TENANT_ROW, tenant_id)),
                "bus.snapshots": await own_bus.bucket(SNAPSHOTS).get(tenant_id.hex) is not None,
                "bus.audit-heads": tenant_id in await anchors.tenants(),
                "bus.tenant-keys": await own_bus.bucket(TENANT_KEYS).get(tenant_id.hex) is not None,
            }

        assert await kept(clinic.tenant_id) == {name: name != store for name in STORES}
        assert all((await kept(other.tenant_id)).values())


async def _anchored(anchors: Anchors, tenant_id: UUID) -> bool:
    """All four lines of a clinic that went live."""
    head = await anchors.of(tenant_id)
    return head is not None and head.seq == 4
