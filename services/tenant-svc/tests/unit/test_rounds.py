"""Rounds over a LiveKit in memory."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest
from switchboard.clock import ManualClock
from switchboard.errors import Unavailable
from switchboard.sealed import DataKey, SealError
from tenant_svc.adapters.livekit_fake import FakeLiveKitSip
from tenant_svc.reconciler.service import Policy, Reconciler
from tenant_svc.trunks.service import PASSWORD

pytestmark = pytest.mark.unit

TENANT = uuid.UUID(int=7)
POLICY = Policy((ipaddress.ip_network("54.172.60.0/30"),), "receptionist", "call", 25, 14_400)


class Keys:
    """One tenant's key; ``destroyed`` after an erasure."""

    destroyed = False

    async def cipher(self, tenant_id: uuid.UUID | None) -> DataKey:
        if self.destroyed:
            raise SealError("gone")
        return DataKey(bytes(32), str(tenant_id))


class Database:
    """Answers the reconciler's one query with ``rows``."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.busy = False

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Database]:
        yield self

    async def execute(self, _statement: str, *_arguments: object) -> None:
        if self.busy:
            raise asyncpg.LockNotAvailableError

    async def fetch(self, _statement: str, *_arguments: object) -> list[dict[str, Any]]:
        return self.rows


class Bench:
    def __init__(self) -> None:
        self.sip = FakeLiveKitSip()
        self.db = Database()
        self.keys = Keys()
        clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
        self.reconciler = Reconciler("default", self.sip, cast("Any", self.db), cast("Any", self.keys), POLICY, clock)

    def keys_of_trunks(self) -> set[str]:
        return {spec.key for spec in self.sip.held_trunks.values()}

    def keys_of_rules(self) -> set[str]:
        return {spec.key for spec in self.sip.held_rules.values()}


def row(number: int, *, address: str = "192.0.2.1/32", password: str | None = None) -> dict[str, Any]:
    trunk_id = uuid.UUID(int=number)
    sealed = None
    if password is not None:
        sealed = PASSWORD.seal(DataKey(bytes(32), str(TENANT)), trunk_id, password)
    return {
        "tenant_id": TENANT,
        "id": trunk_id,
        "allowed_addresses": [address],
        "numbers": [f"+3491100{number:04}"],
        "auth_username": None if password is None else "sbc",
        "auth_password_sealed": sealed,
    }


async def test_a_round_writes_everything_and_the_next_one_nothing() -> None:
    bench = Bench()
    bench.db.rows = [row(1), row(2, password="hunter2")]
    first = await bench.reconciler.once()
    writes = bench.sip.writes
    second = await bench.reconciler.once()
    assert (first.ok, first.created, second.created, bench.sip.writes) == (True, 6, 0, writes)
    assert bench.keys_of_trunks() == bench.keys_of_rules() == {"platform", uuid.UUID(int=1).hex, uuid.UUID(int=2).hex}
    assert {spec.password for spec in bench.sip.held_trunks.values()} == {"", "hunter2"}
    for spec in bench.sip.held_rules.values():
        assert bench.sip.held_trunks[spec.trunk_id].key == spec.key


async def test_what_left_the_database_leaves_livekit_and_what_was_emptied_comes_back() -> None:
    bench = Bench()
    bench.db.rows = [row(1)]
    await bench.reconciler.once()
    bench.db.rows = []
    outcome = await bench.reconciler.once()
    assert (outcome.deleted, bench.keys_of_trunks(), bench.keys_of_rules()) == (2, {"platform"}, {"platform"})
    bench.sip.empty()
    assert (await bench.reconciler.once()).created == 2


async def test_one_refused_trunk_keeps_no_other_from_being_written() -> None:
    bench = Bench()
    refused = uuid.UUID(int=1).hex
    bench.sip.refuses = {refused}
    bench.db.rows = [row(1), row(2)]
    outcome = await bench.reconciler.once()
    assert (outcome.ok, outcome.failed, outcome.created) == (False, 1, 4)
    assert bench.keys_of_rules() == {"platform", uuid.UUID(int=2).hex}
    with pytest.raises(Unavailable):
        await bench.reconciler.check()


async def test_trunks_that_must_not_be_written_are_left_out() -> None:
    bench = Bench()
    bench.db.rows = [row(1, address="54.172.60.1/32"), row(2, password="hunter2")]
    bench.keys.destroyed = True
    outcome = await bench.reconciler.once()
    assert (outcome.ok, outcome.left_out, bench.keys_of_trunks()) == (True, 2, {"platform"})


async def test_an_outage_is_said_and_over_when_it_is_over() -> None:
    bench = Bench()
    with pytest.raises(Unavailable):
        await bench.reconciler.check()
    bench.sip.away = True
    assert (await bench.reconciler.once()).error == "Unavailable"
    with pytest.raises(Unavailable):
        await bench.reconciler.check()
    bench.sip.away = False
    await bench.reconciler.once()
    await bench.reconciler.check()


async def test_that_another_replica_is_at_work_is_no_outage() -> None:
    bench = Bench()
    await bench.reconciler.once()
    bench.db.busy = True
    assert (await bench.reconciler.once()).ok
    await bench.reconciler.check()
