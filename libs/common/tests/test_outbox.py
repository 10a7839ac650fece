from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from switchboard.db import Database
from switchboard.outbox import Message, Outbox, Relay, RelaySettings, backlog, requeue
from switchboard.settings import TelemetrySettings
from switchboard.telemetry import setup, span
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

A, B = uuid4(), uuid4()
OUTBOX = Outbox("calls")
IMPATIENT = RelaySettings(retry_first_s=0.0, retry_most_s=0.0)


class Broker:
    """Keeps what it is sent; refuses the subjects in ``refused``."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, str]] = []
        self.headers: list[Mapping[str, str]] = []
        self.refused: set[str] = set()
        self.arrived = asyncio.Event()

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> None:
        if subject in self.refused:
            raise ConnectionError("not stored")
        self.sent.append((subject, payload, msg_id))
        self.headers.append(headers)
        self.arrived.set()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.sent]


def message(subject: str, payload: bytes, message_id: UUID | None = None) -> Message:
    return Message(message_id or uuid4(), subject, payload, {"contract": "x/1"})


@asynccontextmanager
async def opened(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    async with Database.open(migrated.settings("call_orchestrator", max_pool=6), name="test") as db:
        yield db


async def add(db: Database, tenant_id: UUID, *messages: Message, key: str | None = None) -> None:
    async with db.tenant(tenant_id) as conn:
        for each in messages:
            await OUTBOX.add(conn, each, key=key)


def relay(db: Database, broker: Broker, settings: RelaySettings = IMPATIENT) -> Relay:
    return Relay(db, "calls", broker, lambda: 0.0, settings)


async def test_rows_of_all_tenants_go_out_with_their_id_as_the_brokers(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker, one, two = Broker(), message("t.a.c.1.x", b"1"), message("t.b.c.1.x", b"2")
        await add(db, A, one)
        await add(db, B, two)

        assert await relay(db, broker).drain() == 2
        assert await relay(db, broker).drain() == 0

    assert broker.sent == [(one.subject, b"1", one.id.hex), (two.subject, b"2", two.id.hex)]
    assert broker.headers[0]["contract"] == "x/1"


async def test_what_is_rolled_back_is_never_sent(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        with pytest.raises(RuntimeError):
            async with db.tenant(A) as conn:
                await OUTBOX.add(conn, message("t.a.c.1.x", b"1"))
                raise RuntimeError
        assert await relay(db, broker).drain() == 0


async def test_without_a_tenant_nothing_can_be_added(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        with pytest.raises(asyncpg.PostgresError):
            async with db.platform() as conn:
                await OUTBOX.add(conn, message("t.a.c.1.x", b"1"))


async def test_the_trace_travels_with_the_message(migrated: MigratedDatabase, tmp_path: Path) -> None:
    telemetry = setup("test", TelemetrySettings(spans_file=tmp_path / "spans"))
    async with opened(migrated) as db:
        broker = Broker()
        with span("work") as current:
            await add(db, A, message("t.a.c.1.x", b"1"))
            trace_id = f"{current.get_span_context().trace_id:032x}"
        await relay(db, broker).drain()
    telemetry.shutdown()
    assert broker.headers[0]["traceparent"].split("-")[1] == trace_id


async def test_a_refused_row_holds_back_its_own_key_and_no_other(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        broker.refused = {"call1.first"}
        await add(db, A, message("call1.first", b"1a"), message("call1.second", b"1b"), message("call2.first", b"2a"))

        await relay(db, broker).drain()
        assert broker.payloads == [b"2a"]

        broker.refused = set()
        await relay(db, broker).drain()
        assert broker.payloads == [b"2a", b"1a", b"1b"]


async def test_a_row_that_waits_for_its_next_try_keeps_later_ones_of_its_key_waiting(
    migrated: MigratedDatabase,
) -> None:
    patient = RelaySettings(retry_first_s=3600, retry_most_s=3600)
    async with opened(migrated) as db:
        broker = Broker()
        broker.refused = {"call1.first"}
        await add(db, A, message("call1.first", b"1a"))
        await relay(db, broker, patient).drain()
        broker.refused = set()
        await add(db, A, message("call1.second", b"1b"), message("call2.first", b"2a"))

        assert await relay(db, broker, patient).drain() == 1
        assert broker.payloads == [b"2a"]


async def test_two_relays_at_once_send_each_row_once_and_in_order(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        await add(db, A, *(message("call1.turn", str(n).encode()) for n in range(50)))
        small = RelaySettings(batch=3)

        while len(broker.sent) < 50:
            await asyncio.gather(*(relay(db, broker, small).step() for _ in range(4)))

    assert broker.payloads == [str(n).encode() for n in range(50)]


async def test_while_one_relay_sends_another_takes_nothing(migrated: MigratedDatabase) -> None:
    class Slow(Broker):
        def __init__(self) -> None:
            super().__init__()
            self.reached, self.go_on = asyncio.Event(), asyncio.Event()

        async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> None:
            self.reached.set()
            await self.go_on.wait()
            await super().publish(subject, payload, headers, msg_id)

    async with opened(migrated) as db:
        slow, other = Slow(), Broker()
        await add(db, A, *(message("call1.turn", str(n).encode()) for n in range(3)))
        sending = asyncio.create_task(relay(db, slow, RelaySettings(batch=1)).step())
        await slow.reached.wait()

        # The second row would overtake the first.
        assert await relay(db, other).drain() == 0
        slow.go_on.set()
        await sending
        assert await relay(db, other).drain() == 2

    assert slow.payloads + other.payloads == [b"0", b"1", b"2"]


async def test_a_relay_that_dies_after_sending_sends_the_same_id_again(migrated: MigratedDatabase) -> None:
    class DiesAfter(Broker):
        async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> None:
            await super().publish(subject, payload, headers, msg_id)
            raise asyncio.CancelledError

    async with opened(migrated) as db:
        first, second = DiesAfter(), Broker()
        await add(db, A, message("call1.turn", b"1"))
        with pytest.raises(asyncio.CancelledError):
            await relay(db, first).drain()
        await relay(db, second).drain()
    assert first.sent == second.sent


async def test_what_was_sent_since_a_time_can_be_sent_again(migrated: MigratedDatabase) -> None:
    """By when it was sent: a row that had waited for an hour was lost with the rest."""
    async with opened(migrated) as db:
        broker = Broker()
        await add(db, A, message("call1.turn", b"1"), message("call1.turn", b"2"))
        await relay(db, broker).drain()
        admin = await asyncpg.connect(migrated.admin_dsn)
        await admin.execute("UPDATE calls.outbox SET created_at = created_at - interval '2 hours'")
        await admin.close()

        async with db.platform() as conn:
            assert await requeue(conn, "calls", datetime.now(UTC) + timedelta(hours=1)) == 0
            assert await backlog(conn, "calls") == 0
            assert await requeue(conn, "calls", datetime.now(UTC) - timedelta(hours=1)) == 2
            assert await backlog(conn, "calls") == 2
        await relay(db, broker).drain()

    assert broker.payloads == [b"1", b"2", b"1", b"2"]
    assert broker.sent[:2] == broker.sent[2:]


async def test_sent_rows_are_kept_for_a_day_and_unsent_ones_for_ever(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        await add(db, A, message("call1.turn", b"1"), message("call2.turn", b"2"), message("call3.turn", b"3"))
        broker.refused = {"call3.turn"}
        await relay(db, broker).drain()
        admin = await asyncpg.connect(migrated.admin_dsn)
        await admin.execute("UPDATE calls.outbox SET sent_at = sent_at - interval '25 hours' WHERE key = 'call1'")
        await admin.execute("UPDATE calls.outbox SET created_at = created_at - interval '99 days'")

        assert await relay(db, broker).prune() == 1
        kept = [row["subject"] for row in await admin.fetch("SELECT subject FROM calls.outbox ORDER BY seq")]
        await admin.close()
    assert kept == ["call2.turn", "call3.turn"]


async def test_a_commit_wakes_the_relay_long_before_its_poll(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        running = asyncio.create_task(relay(db, broker, RelaySettings(poll_s=3600)).run())
        for number in range(4):  # more often than the relay looks by itself when it starts
            broker.arrived.clear()
            await add(db, A, message("call1.turn", str(number).encode()))
            await asyncio.wait_for(broker.arrived.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert broker.payloads == [b"0", b"1", b"2", b"3"]


async def test_a_lost_notice_costs_one_poll_only(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        silent = relay(db, broker, RelaySettings(poll_s=0.02))
        running = asyncio.create_task(silent._work())  # without its ear
        await add(db, A, message("call1.turn", b"1"))
        await asyncio.wait_for(broker.arrived.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_relay_whose_connections_are_cut_carries_on(migrated: MigratedDatabase) -> None:
    async with opened(migrated) as db:
        broker = Broker()
        running = asyncio.create_task(relay(db, broker, RelaySettings(poll_s=0.02)).run())
        await add(db, A, message("call1.turn", b"1"))
        await asyncio.wait_for(broker.arrived.wait(), 20)
        admin = await asyncpg.connect(migrated.admin_dsn)
        broker.arrived.clear()
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await admin.execute(
            "INSERT INTO calls.outbox (tenant_id, id, subject, key, payload, headers) VALUES "
            "($1, $2, 'call1.turn', 'call1', 'x', '{}')",
            A,
            uuid4(),
        )
        await admin.close()
        await asyncio.wait_for(broker.arrived.wait(), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    # A row that was sent when its connection went, and not yet marked, is sent again: the broker drops the copy by its id.
    assert list(dict.fromkeys(broker.payloads)) == [b"1", b"x"]
