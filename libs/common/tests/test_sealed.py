"""Sealed text: opened by its own tenant for its own purpose, and by nobody else."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from switchboard.clock import ManualClock
from switchboard.contracts.base import Contract
from switchboard.errors import Unavailable
from switchboard.keyring import FRESH_SECONDS, UNCONFIRMED_SECONDS, Keyring
from switchboard.sealed import DataKey, SealContext, Sealed, SealError

pytestmark = pytest.mark.unit

KEY = DataKey(b"k" * 32, "tenant-a")


class Said(Contract):
    words: Sealed
    more: tuple[Sealed, ...] = ()
    note: Sealed | None = None


def test_words_come_back_and_are_not_seen_on_the_way() -> None:
    said = Said(words=Sealed("my tooth hurts"), more=(Sealed("a lot"),))
    wire = said.model_dump_json(context=SealContext(KEY, "p"))
    assert "tooth" not in wire
    assert "lot" not in wire
    assert Said.model_validate_json(wire, context=SealContext(KEY, "p")) == said


def test_a_model_shows_no_words_when_it_is_logged() -> None:
    assert "tooth" not in repr(Said(words=Sealed("my tooth hurts")))
    assert "tooth" not in str(Said(words=Sealed("my tooth hurts")))


def test_there_is_no_quiet_way_to_send_words_in_clear() -> None:
    with pytest.raises(Exception, match="without its tenant's key"):
        Said(words=Sealed("x")).model_dump_json()


def test_clear_words_are_not_taken_from_the_wire() -> None:
    with pytest.raises(ValidationError, match="clear text"):
        Said.model_validate_json('{"words": "x"}', context=SealContext(KEY, "p"))


@pytest.mark.parametrize(
    "other",
    [
        SealContext(DataKey(b"k" * 32, "tenant-b"), "p"),
        SealContext(DataKey(b"x" * 32, "tenant-a"), "p"),
        SealContext(KEY, "another purpose"),
    ],
)
def test_another_tenant_key_or_purpose_opens_nothing(other: SealContext) -> None:
    wire = Said(words=Sealed("x")).model_dump_json(context=SealContext(KEY, "p"))
    with pytest.raises(ValidationError, match="can't be opened"):
        Said.model_validate_json(wire, context=other)


def test_a_changed_byte_is_noticed() -> None:
    sealed = bytearray(KEY.seal(b"words", "p"))
    sealed[-1] ^= 1
    with pytest.raises(SealError):
        KEY.open(bytes(sealed), "p")


def test_the_same_words_never_look_the_same() -> None:
    assert KEY.seal(b"words", "p") != KEY.seal(b"words", "p")


class Store:
    """Wrapped keys in memory; ``away`` makes it unreachable, ``silent`` leaves it without an answer."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.away = False
        self.silent = False
        self.asked = 0

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        if self.away:
            raise Unavailable
        if self.silent:
            await asyncio.Event().wait()
        return self.held.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.held[key] = value

    async def purge(self, key: str) -> None:
        self.held.pop(key, None)


async def test_the_ring_remembers_for_a_minute_and_outlives_an_outage() -> None:
    store, clock, tenant = Store(), ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), uuid.uuid4()
    ring = Keyring(b"m" * 32, store, clock)
    await ring.publish(tenant, ring.create(tenant))
    sealed = (await ring.cipher(tenant)).seal(b"x", "p")
    await ring.cipher(tenant)
    assert store.asked == 1
    clock.advance(FRESH_SECONDS + 1)
    store.away = True
    assert (await ring.cipher(tenant)).open(sealed, "p") == b"x"


async def test_a_bucket_that_does_not_answer_holds_no_call_up() -> None:
    """An opened key is used at once when nobody confirms it, and the question is not repeated with every message."""
    store, clock, tenant = Store(), ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), uuid.uuid4()
    ring = Keyring(b"m" * 32, store, clock)
    await ring.publish(tenant, ring.create(tenant))
    opened = await ring.cipher(tenant)
    clock.advance(FRESH_SECONDS + 1)
    store.silent = True
    async with asyncio.timeout(5):
        assert await ring.cipher(tenant) is opened
        assert await ring.cipher(tenant) is opened
    assert store.asked == 2
    clock.advance(UNCONFIRMED_SECONDS + 1)
    store.silent = False
    await ring.destroy(tenant)
    with pytest.raises(SealError):
        await ring.cipher(tenant)


async def test_a_destroyed_key_is_gone_for_everybody_within_a_minute() -> None:
    store, clock, tenant = Store(), ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), uuid.uuid4()
    mine, theirs = Keyring(b"m" * 32, store, clock), Keyring(b"m" * 32, store, clock)
    await mine.publish(tenant, mine.create(tenant))
    await theirs.cipher(tenant)
    await mine.destroy(tenant)
    with pytest.raises(SealError):
        await mine.cipher(tenant)
    clock.advance(FRESH_SECONDS + 1)
    with pytest.raises(SealError):
        await theirs.cipher(tenant)


async def test_a_wrapped_key_opens_only_for_its_own_tenant_and_master() -> None:
    store, clock = Store(), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    a, b = uuid.uuid4(), uuid.uuid4()
    ring = Keyring(b"m" * 32, store, clock)
    store.held[b.hex] = ring.create(a)
    with pytest.raises(SealError):
        await ring.cipher(b)
    store.held[a.hex] = Keyring(b"n" * 32, store, clock).create(a)
    with pytest.raises(SealError):
        await ring.cipher(a)
