"""Admission: the pure decision about a call."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime, time

import pytest
from pydantic import ValidationError
from switchboard.admission import decide, open_now
from switchboard.blobs import Blobs
from switchboard.bus.kv import Bucket
from switchboard.contracts.calls import DecisionReason, Outcome
from switchboard.contracts.snapshot import (
    AgentConfiguration,
    Holiday,
    Location,
    NumberBinding,
    Opening,
    TenantSnapshot,
    TenantStatus,
)
from switchboard.snapshot import NumberMatch, SnapshotBook

pytestmark = pytest.mark.unit

MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SUNDAY_NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def snapshot(
    status: TenantStatus = TenantStatus.LIVE,
    *,
    agent: AgentConfiguration | None = None,
    numbers: tuple[NumberBinding, ...] = (),
    holidays: tuple[Holiday, ...] = (),
    zone: str = "UTC",
    version: int = 1,
    tenant_id: uuid.UUID | None = None,
) -> TenantSnapshot:
    hours = (Opening(day="monday", opens=time(9), closes=time(17)),)
    return TenantSnapshot(
        tenant_id=tenant_id or uuid.uuid4(),
        version=version,
        published_at=MONDAY_NOON,
        status=status,
        name="Clinic",
        time_zone=zone,
        locations=(Location(id=uuid.uuid4(), name="Main", hours=hours),),
        holidays=holidays,
        numbers=numbers,
        agent=agent or AgentConfiguration(),
    )


def outcome(found: TenantSnapshot, now: datetime = MONDAY_NOON, live: int = 0) -> tuple[Outcome, DecisionReason]:
    decision = decide(NumberMatch(found, known=True), now, live)
    assert decision.plan is not None
    assert decision.tenant_id == found.tenant_id
    return decision.outcome, decision.reason


def test_an_open_clinic_talks() -> None:
    assert outcome(snapshot()) == (Outcome.TALK, DecisionReason.OPEN)


def test_an_unknown_number_and_a_foreign_trunk_are_refused_apart() -> None:
    unknown = decide(NumberMatch(None, known=False), MONDAY_NOON, 0)
    foreign = decide(NumberMatch(None, known=True), MONDAY_NOON, 0)
    assert (unknown.outcome, unknown.reason) == (Outcome.REFUSE, DecisionReason.UNKNOWN_NUMBER)
    assert (foreign.outcome, foreign.reason) == (Outcome.REFUSE, DecisionReason.WRONG_TRUNK)
    assert unknown.plan is None
    assert foreign.tenant_id is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (TenantStatus.DRAFT, (Outcome.REFUSE, DecisionReason.TENANT_NOT_LIVE)),
        (TenantStatus.PAUSED, (Outcome.NOTICE, DecisionReason.TENANT_PAUSED)),
        (TenantStatus.SUSPENDED, (Outcome.NOTICE, DecisionReason.TENANT_SUSPENDED)),
    ],
)
def test_a_tenant_that_is_not_live(status: TenantStatus, expected: tuple[Outcome, DecisionReason]) -> None:
    assert outcome(snapshot(status)) == expected


def test_the_limit_of_calls_is_a_notice_that_says_something() -> None:
    found = snapshot(agent=AgentConfiguration(max_concurrent_calls=2))
    assert outcome(found, live=1)[0] is Outcome.TALK
    assert outcome(found, live=2) == (Outcome.NOTICE, DecisionReason.OVER_CAPACITY)
    decision = decide(NumberMatch(found, known=True), MONDAY_NOON, 2)
    assert decision.plan is not None
    assert decision.plan.say


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("talk", Outcome.TALK), ("take_message", Outcome.TAKE_MESSAGE), ("refuse", Outcome.REFUSE)],
)
def test_outside_hours_the_clinic_decides(setting: str, expected: Outcome) -> None:
    agent = AgentConfiguration.model_validate({"outside_hours": setting})
    assert outcome(snapshot(agent=agent), now=SUNDAY_NOON)[0] is expected


def test_hours_are_local_and_a_holiday_replaces_them() -> None:
    # 22:30 UTC on Sunday is 09:30 on Monday in Sydney.
    sydney = snapshot(zone="Australia/Sydney")
    assert open_now(sydney, datetime(2026, 3, 1, 22, 30, tzinfo=UTC))
    assert not open_now(sydney, MONDAY_NOON)
    closed = snapshot(holidays=(Holiday(day=date(2026, 3, 2), name="Founders' day"),))
    assert not open_now(closed, MONDAY_NOON)
    short = snapshot(holidays=(Holiday(day=date(2026, 3, 2), name="Short", opens=time(11), closes=time(13)),))
    assert open_now(short, MONDAY_NOON)
    assert not open_now(short, MONDAY_NOON.replace(hour=14))


def test_hours_with_an_offset_are_refused_by_their_field() -> None:
    with pytest.raises(ValidationError, match="own clock") as caught:
        Opening.model_validate({"day": "monday", "opens": "09:00Z", "closes": "10:00"})
    assert caught.value.errors()[0]["loc"] == ("opens",)


async def test_a_number_matches_only_on_its_own_trunk_and_account() -> None:
    book = SnapshotBook(_NoBucket(), _NoBlobs())
    bound = NumberBinding(number="+15550001111", trunk="platform", carrier_account="AC1")
    found = snapshot(numbers=(bound,))
    await book.apply(found.tenant_id.hex, found.model_dump_json().encode())
    assert book.match("+15550001111", "platform", "AC1").snapshot == found
    for number, trunk, account in (
        ("+15550001111", "platform", "AC2"),
        ("+15550001111", "platform", None),
        ("+15550001111", "0" * 32, "AC1"),
        ("+15550001111", None, "AC1"),
    ):
        match = book.match(number, trunk, account)
        assert (match.snapshot, match.known) == (None, True)
    assert not book.match("+15550002222", "platform", "AC1").known


async def test_an_older_snapshot_never_replaces_a_newer_one_and_a_bad_one_none() -> None:
    book = SnapshotBook(_NoBucket(), _NoBlobs())
    tenant = uuid.uuid4()
    number = NumberBinding(number="+15550001111")
    new, old = snapshot(version=3, tenant_id=tenant, numbers=(number,)), snapshot(version=2, tenant_id=tenant)
    await book.apply(tenant.hex, new.model_dump_json().encode())
    await book.apply(tenant.hex, old.model_dump_json().encode())
    await book.apply(tenant.hex, b"{broken")
    await book.apply(uuid.uuid4().hex, new.model_dump_json().encode())  # another tenant's key
    assert book.get(tenant) == new
    assert len(book) == 1
    await book.apply(tenant.hex, None)
    assert book.get(tenant) is None
    assert not book.match("+15550001111", "platform", None).known


async def test_few_snapshots_are_kept_as_objects_and_every_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchboard.snapshot.OPEN", 2)
    book = SnapshotBook(_NoBucket(), _NoBlobs())
    bindings = [NumberBinding(number=f"+1555000111{at}") for at in range(5)]
    made = [snapshot(tenant_id=uuid.uuid4(), version=1, numbers=(binding,)) for binding in bindings]
    for one in made:
        await book.apply(one.tenant_id.hex, one.model_dump_json().encode())
    for _ in range(2):
        assert [book.match(binding.number, "platform", None).snapshot for binding in bindings] == made
        assert len(book._open) == 2
    # A newer version takes the place of one that is ready to be looked at.
    newer = made[4].model_copy(update={"version": 2, "numbers": ()})
    await book.apply(newer.tenant_id.hex, newer.model_dump_json().encode())
    assert book.get(newer.tenant_id) == newer
    assert not book.match(bindings[4].number, "platform", None).known


async def test_a_version_that_was_heard_of_elsewhere_is_waited_for() -> None:
    book = SnapshotBook(_NoBucket(), _NoBlobs())
    tenant = uuid.uuid4()
    old, new = snapshot(version=2, tenant_id=tenant), snapshot(version=3, tenant_id=tenant)
    await book.apply(tenant.hex, old.model_dump_json().encode())

    assert await book.at_least(tenant, 2, 0.001) == old
    assert await book.at_least(tenant, 3, 0.001) is None
    assert await book.at_least(uuid.uuid4(), 1, 0.001) is None
    waiting = asyncio.create_task(book.at_least(tenant, 3, 30))
    await asyncio.sleep(0)
    assert not waiting.done()
    await book.apply(tenant.hex, new.model_dump_json().encode())
    assert await waiting == new
    assert book.tenants() == (tenant,)


class _NoBucket(Bucket):
    def __init__(self) -> None:
        return


class _NoBlobs(Blobs):
    def __init__(self) -> None:
        return
