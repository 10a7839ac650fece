"""The fleet's real migrations: on an empty and on a filled database, twice, and by two processes at once.

`filled/<schema>/<revision>.sql` puts in what a database of that revision holds; a new migration comes with its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from fleet.prove import Tried
from switchboard.db import Connection
from switchboard.migrate import SCHEMAS, migrate
from switchboard.migrate.apply import installed
from switchboard.testing.catalogue import function_gaps, isolation_gaps, listed_functions, role_gaps
from switchboard.testing.database import PASSWORDS, migrate_settings

pytestmark = pytest.mark.integration

FILLED = Path(__file__).with_name("filled")
LISTED = listed_functions(Path(__file__).with_name("security_definer.txt"))
FOLDERS = installed()
REVISIONS = {
    schema: sorted(path.name[:4] for path in folder.glob("[0-9]*.py")) for schema, folder in sorted(FOLDERS.items())
}
NEWEST = {schema: revisions[-1] for schema, revisions in REVISIONS.items()}
STEPS = max(map(len, REVISIONS.values()))

Rows = dict[str, list[dict[str, object]]]

TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND c.relname <> 'alembic_version' ORDER BY 1
"""


@dataclass
class Growing:
    """A database that is migrated one revision after the other, and filled in between."""

    dsn: str
    conn: Connection
    folder: Path

    async def upgrade(self, steps: int) -> dict[str, tuple[str, str]]:
        """Every schema to its ``steps``-th revision, or its newest."""
        folders = {}
        for schema, home in FOLDERS.items():
            folders[schema] = self.folder / f"{steps}" / schema
            folders[schema].mkdir(parents=True, exist_ok=True)
            for revision in REVISIONS[schema][:steps]:
                (source,) = home.glob(f"{revision}_*.py")
                (folders[schema] / source.name).write_text(source.read_text())
        return await migrate(migrate_settings(self.dsn), folders)

    async def fill(self, step: int) -> None:
        for schema, revisions in REVISIONS.items():
            for revision in revisions[step - 1 : step]:
                text = (FILLED / schema / f"{revision}.sql").read_text()
                if text.startswith("-- mailboxes.sql"):
                    text = (FILLED / "mailboxes.sql").read_text()
                await self.conn.execute(text.replace("{schema}", schema))

    async def rows(self) -> Rows:
        """Everything that the tables hold."""
        found: Rows = {}
        for (table,) in await self.conn.fetch(TABLES, list(REVISIONS)):
            rows = await self.conn.fetch(f"SELECT to_jsonb(t) AS row FROM {table} AS t")
            found[table] = [json.loads(row["row"]) for row in rows]
        return found


@pytest_asyncio.fixture
async def growing(postgres_database: str, tmp_path: Path) -> AsyncIterator[Growing]:
    conn = await asyncpg.connect(postgres_database)
    yield Growing(postgres_database, conn, tmp_path)
    await conn.close()


def lost(before: Rows, after: Rows) -> list[str]:
    """Tables whose rows of before are not all there any more, with every value they had."""
    gone = []
    for table, rows in before.items():
        columns = list(rows[0]) if rows else []
        kept = {json.dumps([row.get(column) for column in columns]) for row in after.get(table, [])}
        wanted = {json.dumps([row[column] for column in columns]) for row in rows}
        if not wanted <= kept:
            gone.append(table)
    return gone


async def sound(conn: Connection) -> list[str]:
    return [*await isolation_gaps(conn), *await role_gaps(conn), *await function_gaps(conn, LISTED)]


def test_every_revision_has_its_rows() -> None:
    files = {schema: sorted(path.stem for path in (FILLED / schema).glob("*.sql")) for schema in REVISIONS}
    assert files == REVISIONS, "write filled/<schema>/<revision>.sql: what a database of that revision holds"


@pytest.mark.parametrize("start", range(1, STEPS + 1))
async def test_a_filled_database_of_any_revision_becomes_the_newest(
    growing: Growing, start: int, record_property: Tried
) -> None:
    """Step by step to ``start`` with rows of each revision, then to the newest at once, then once more."""
    for step in range(1, start + 1):
        await growing.upgrade(step)
        await growing.fill(step)
    before = await growing.rows()
    assert [table for table, rows in before.items() if not rows] == []

    first = await migrate(migrate_settings(growing.dsn))
    second = await migrate(migrate_settings(growing.dsn))

    assert {schema: after for schema, (_, after) in first.items()} == NEWEST
    assert second == {schema: (newest, newest) for schema, newest in NEWEST.items()}
    after = await growing.rows()
    assert lost(before, after) == []
    assert {table: len(after[table]) for table in before} == {table: len(rows) for table, rows in before.items()}
    assert await sound(growing.conn) == []
    record_property("filled databases", 1)


UNPOSTED = """
SELECT c.id, w.lexeme FROM knowledge.chunks AS c JOIN knowledge.documents AS d
ON d.tenant_id = c.tenant_id AND d.id = c.document_id AND d.indexed_revision = c.revision, LATERAL unnest(c.words) AS w
EXCEPT SELECT c, p.lexeme FROM knowledge.postings AS p, LATERAL unnest(p.chunks) AS c
"""
MISCOUNTED = """
SELECT d.id FROM knowledge.documents AS d LEFT JOIN knowledge.chunks AS c
ON c.tenant_id = d.tenant_id AND c.document_id = d.id AND c.revision = d.indexed_revision GROUP BY d.tenant_id, d.id
HAVING d.indexed_chunks <> count(c.id) OR d.indexed_lexemes <> COALESCE(sum(length(c.words)), 0)
"""


async def test_what_was_indexed_before_there_were_posting_lists_is_in_them(growing: Growing) -> None:
    for step in range(1, 6):
        await growing.upgrade(step)
        await growing.fill(step)

    await migrate(migrate_settings(growing.dsn))

    assert await growing.conn.fetchval("SELECT count(*) FROM knowledge.postings") > 0
    assert await growing.conn.fetch(UNPOSTED) == []
    assert await growing.conn.fetch(MISCOUNTED) == []


def test_a_lost_value_would_be_noticed() -> None:
    before: Rows = {"t": [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]}
    assert lost(before, {"t": [{"id": 1, "a": "x", "b": 0}, {"id": 2, "a": "y", "b": 0}]}) == []
    assert lost(before, {"t": [{"id": 1, "a": "x"}]}) == ["t"]
    assert lost(before, {"t": [{"id": 1, "a": "x"}, {"id": 2, "a": ""}]}) == ["t"]
    assert lost(before, {}) == ["t"]


# -- two processes ----------------------------------------------------------------------------------------------------

LOCK = 0x5357_4954_4348
ASKING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%'"
)


async def process(dsn: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "SWITCHBOARD_MIGRATE__ADMIN_DSN": dsn,
        **{f"SWITCHBOARD_MIGRATE__PASSWORDS__{role.upper()}": secret for role, secret in PASSWORDS.items()},
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "switchboard.migrate"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.mark.parametrize("start", [0, 1])
async def test_of_two_processes_at_once_one_does_the_work(growing: Growing, start: int) -> None:
    """On an empty database, and on one that is filled: both have asked for the lock before either can have it."""
    for step in range(1, start + 1):
        await growing.upgrade(step)
        await growing.fill(step)
    before = await growing.rows() if start else {}
    await growing.conn.execute("SELECT pg_advisory_lock($1)", LOCK)
    processes = [await process(growing.dsn) for _ in range(2)]
    while await growing.conn.fetchval(ASKING) < 3:  # this question names it as well
        assert None in [each.returncode for each in processes], "nobody waited"
        await asyncio.sleep(0.05)
    await growing.conn.execute("SELECT pg_advisory_unlock($1)", LOCK)

    outputs = [(await each.communicate())[0].decode() for each in processes]

    assert [each.returncode for each in processes] == [0, 0], outputs
    idle = "".join(f"{schema.name} is at {NEWEST[schema.name]}\n" for schema in SCHEMAS)
    came = "nothing" if not start else "0001"
    work = "".join(f"{schema.name} went from {came} to {NEWEST[schema.name]}\n" for schema in SCHEMAS)
    assert sorted(outputs) == sorted([idle, work])
    assert lost(before, await growing.rows()) == []
    assert await sound(growing.conn) == []
