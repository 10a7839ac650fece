"""Faults of what the services have stored: rows changed behind their backs, by the database's superuser.

Each is undone when its block ends, so that the fleet can be used on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from fleet.process import FleetError

REPRICE = r"UPDATE knowledge.chunks SET text = regexp_replace(text, $2, $3) WHERE document_id = $1 AND text ~ $2"
CHUNKS = "SELECT tenant_id, id, text FROM knowledge.chunks WHERE document_id = $1"
RESTORE = "UPDATE knowledge.chunks SET text = $3 WHERE tenant_id = $1 AND id = $2"
REHOME = (
    "UPDATE knowledge.chunks AS c SET document_id = d.id, revision = d.indexed_revision, ordinal = c.ordinal + 1000 "
    "FROM knowledge.documents AS d WHERE d.id = $2 AND c.document_id = $1 AND d.tenant_id = c.tenant_id RETURNING c.id"
)
FORGET = "DELETE FROM knowledge.chunks WHERE id = ANY ($1)"
# What searches see is said again: the trigger of the posting lists reads the chunks.
POST = "UPDATE knowledge.documents SET indexed_revision = indexed_revision WHERE id = ANY ($1)"
RENUMBER = "UPDATE tenancy.numbers SET number = $2 WHERE number = $1"
NOBODYS = "+15550000000"


@asynccontextmanager
async def other_price(dsn: str, document_id: UUID, price: int, instead_of: int) -> AsyncIterator[None]:
    """The passages of a price list say another price than the document does. FleetError unless one passage has it."""
    connection = await asyncpg.connect(dsn)
    try:
        before = await connection.fetch(CHUNKS, document_id)
        done = await connection.execute(REPRICE, document_id, rf"\${instead_of}\M", f"${price}")
        if done != "UPDATE 1":
            raise FleetError(f"${instead_of} should stand in one passage: {done}")
        await connection.execute(POST, [document_id])
        try:
            yield
        finally:
            await connection.executemany(RESTORE, [tuple(row) for row in before])
            await connection.execute(POST, [document_id])
    finally:
        await connection.close()


@asynccontextmanager
async def left_behind(dsn: str, document_id: UUID, kept_by: UUID) -> AsyncIterator[None]:
    """The passages of a document stay in the index when it is deleted: they are filed under another one.

    Delete the document inside the block. FleetError when it has no passages.
    """
    connection = await asyncpg.connect(dsn)
    try:
        moved = [row["id"] for row in await connection.fetch(REHOME, document_id, kept_by)]
        if not moved:
            raise FleetError("the document has no passages")
        await connection.execute(POST, [document_id, kept_by])
        try:
            yield
        finally:
            await connection.execute(FORGET, moved)
            await connection.execute(POST, [kept_by])
    finally:
        await connection.close()


async def cross_numbers(dsn: str, first: str, second: str) -> None:
    """Two clinics' numbers change places; in force once both have published. Crossing them again undoes it."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            for old, new in ((first, NOBODYS), (second, first), (NOBODYS, second)):
                done = await connection.execute(RENUMBER, old, new)
                if done != "UPDATE 1":
                    raise FleetError(f"a number to cross should belong to one clinic: {done}")
    finally:
        await connection.close()
