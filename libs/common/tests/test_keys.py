"""Keys that are replaced while everybody goes on: several open, one seals."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from switchboard.clock import ManualClock
from switchboard.columns import SealedColumn
from switchboard.keyring import FRESH_SECONDS, Keyring
from switchboard.sealed import DataKey, DataKeys, SealError
from switchboard.wrapped import WrappedKey, parse, render

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
OLD, NEW = b"o" * 32, b"n" * 32
TENANT = uuid.UUID(int=1)


class Store:
    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.held.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.held[key] = value

    async def purge(self, key: str) -> None:
        self.held.pop(key, None)


@pytest.fixture
def store() -> Store:
    return Store()


def ring(store: Store, master: bytes, *others: bytes) -> Keyring:
    return Keyring(master, store, ManualClock(NOW), others=others)


# -- columns ----------------------------------------------------------------------------------------------------------

PASSWORD = SealedColumn("tenancy.trunks", "auth_password")
ROW = uuid.UUID(int=5)
KEY = DataKey(b"k" * 32, "tenant-a")


def test_a_credential_opens_in_its_place() -> None:
    assert PASSWORD.open(KEY, ROW, PASSWORD.seal(KEY, ROW, "sécret")) == "sécret"
    assert PASSWORD.full == "tenancy.trunks.auth_password_sealed"


@pytest.mark.parametrize(
    ("column", "cipher", "row"),
    [
        pytest.param(PASSWORD, KEY, uuid.UUID(int=6), id="another row"),
        pytest.param(SealedColumn("tenancy.trunks", "other"), KEY, ROW, id="another column"),
        pytest.param(SealedColumn("tenancy.numbers", "auth_password"), KEY, ROW, id="another table"),
        pytest.param(PASSWORD, DataKey(b"k" * 32, "tenant-b"), ROW, id="another tenant, even with the same key"),
        pytest.param(PASSWORD, DataKey(b"x" * 32, "tenant-a"), ROW, id="another key"),
    ],
)
def test_a_credential_that_was_moved_does_not_open(column: SealedColumn, cipher: DataKey, row: uuid.UUID) -> None:
    sealed = PASSWORD.seal(KEY, ROW, "secret")
    with pytest.raises(SealError):
        column.open(cipher, row, sealed)


def test_a_credential_is_sealed_anew_only_when_it_is_under_an_older_key() -> None:
    keys = DataKeys([DataKey(b"n" * 32, "tenant-a"), KEY])
    resealed = PASSWORD.resealed(keys, ROW, PASSWORD.seal(KEY, ROW, "secret"))
    assert resealed is not None
    assert PASSWORD.open(keys, ROW, resealed) == "secret"
    assert PASSWORD.resealed(keys, ROW, resealed) is None
    with pytest.raises(SealError):
        PASSWORD.open(KEY, ROW, resealed)
    with pytest.raises(SealError):
        PASSWORD.resealed(keys, uuid.UUID(int=6), resealed)


# -- a master key is replaced -----------------------------------------------------------------------------------------


async def test_while_a_master_key_is_replaced_everybody_opens_what_anybody_wrapped(store: Store) -> None:
    """In the order of docs/operations/secrets.md: the new one opens, then seals, then everything is rewrapped."""
    before, between, after = ring(store, OLD), ring(store, OLD, NEW), ring(store, NEW, OLD)
    wrapped = before.create(TENANT)
    await before.publish(TENANT, wrapped)
    sealed = (await before.cipher(TENANT)).seal(b"words", "p")
    platform = (await before.cipher(None)).seal(b"nobody's", "p")
    for each in (between, after):
        assert (await each.cipher(TENANT)).open(sealed, "p") == b"words"
        assert (await each.cipher(None)).open(platform, "p") == b"nobody's"
    ahead = (await after.cipher(None)).seal(b"ahead", "p")
    assert (await between.cipher(None)).open(ahead, "p") == b"ahead"
    with pytest.raises(SealError):
        (await before.cipher(None)).open(ahead, "p")

    rewrapped = after.rewrapped(TENANT, wrapped)
    assert rewrapped is not None
    assert after.rewrapped(TENANT, rewrapped) is None
    assert between.opened(TENANT, rewrapped).open(sealed, "p") == b"words"
    assert ring(store, NEW).opened(TENANT, rewrapped).open(sealed, "p") == b"words"
    with pytest.raises(SealError):
        before.opened(TENANT, rewrapped)
    with pytest.raises(SealError):
        ring(store, NEW).opened(TENANT, wrapped)


def test_a_key_of_another_kind_opens_for_its_purpose_only(store: Store) -> None:
    wrapped = ring(store, OLD).wrap(b"key", "audit-key|1")
    after = ring(store, NEW, OLD)
    assert not after.is_current(wrapped, "audit-key|1")
    rewrapped = after.rewrap(wrapped, "audit-key|1")
    assert after.is_current(rewrapped, "audit-key|1")
    assert ring(store, NEW).unwrap(rewrapped, "audit-key|1") == b"key"
    with pytest.raises(SealError):
        after.unwrap(rewrapped, "audit-key|2")


# -- a data key is replaced -------------------------------------------------------------------------------------------


async def test_a_coming_data_key_opens_before_anybody_seals_with_it(store: Store) -> None:
    clock = ManualClock(NOW)
    writer, slow = (Keyring(OLD, store, clock) for _ in range(2))
    first = writer.create(TENANT)
    await writer.publish(TENANT, first)
    old_words = (await slow.cipher(TENANT)).seal(b"old", "p")

    coming = writer.with_coming(TENANT, first, NOW)
    await writer.publish(TENANT, coming)
    assert writer.opened(TENANT, coming).current(old_words, "p")
    clock.advance(FRESH_SECONDS + 1)
    await slow.cipher(TENANT)  # has the coming key now, and not yet the promotion

    promoted = writer.promoted(coming)
    await writer.publish(TENANT, promoted)
    new_words = writer.opened(TENANT, promoted).seal(b"new", "p")
    assert not writer.opened(TENANT, promoted).current(old_words, "p")
    assert (await slow.cipher(TENANT)).open(new_words, "p") == b"new"
    assert writer.opened(TENANT, promoted).open(old_words, "p") == b"old"
    with pytest.raises(SealError):
        writer.opened(TENANT, first).open(new_words, "p")


async def test_all_data_keys_of_a_tenant_are_rewrapped_together(store: Store) -> None:
    before = ring(store, OLD)
    keys = before.promoted(before.with_coming(TENANT, before.create(TENANT), NOW))
    sealed = before.opened(TENANT, keys).seal(b"words", "p")
    rewrapped = ring(store, NEW, OLD).rewrapped(TENANT, keys)
    assert rewrapped is not None
    assert ring(store, NEW).opened(TENANT, rewrapped).current(sealed, "p")
    assert [key.made_at for key in parse(rewrapped)] == [key.made_at for key in parse(keys)]


def test_keys_are_read_as_they_were_written() -> None:
    one = WrappedKey(b"\x01first")
    assert render([one]) == b"\x01first"
    assert parse(b"\x01first") == (one,)
    several = (WrappedKey(b"\x01second", 1764244800), one)
    assert parse(render(several)) == several
    assert parse(render([WrappedKey(b"\x01x", 5)])) == (WrappedKey(b"\x01x", 5),)


@pytest.mark.parametrize(
    "value", [b"", b"\x03x", b"\x02", b"\x02{}", b'\x02{"keys": []}', b'\x02{"keys": [[1, "!"]]}', b'\x02{"keys": 1}']
)
def test_keys_that_can_not_be_read_are_refused(value: bytes) -> None:
    with pytest.raises(SealError):
        parse(value)


def test_a_tenants_keys_do_not_open_for_another(store: Store) -> None:
    before = ring(store, OLD)
    keys = before.with_coming(TENANT, before.create(TENANT), NOW + timedelta(days=1))
    with pytest.raises(SealError):
        before.opened(uuid.UUID(int=2), keys)
