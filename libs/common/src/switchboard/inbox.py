"""The inbox: a consumer records what it handled in the transaction in which it handled it, and so does it once."""

from __future__ import annotations

import re
from uuid import UUID

from switchboard.db import Connection

INSERT_ROW = """
INSERT INTO {schema}.inbox (tenant_id, consumer, message_id)
VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2)
ON CONFLICT DO NOTHING RETURNING true
"""

_CONSUMER = re.compile(r"[a-z][a-z0-9_-]{0,79}")


class Inbox:
    """One per service; the table is made by :func:`switchboard.migrate.inbox_sql`."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    async def first_time(self, conn: Connection, consumer: str, message_id: UUID) -> bool:
        """Whether ``consumer`` sees this message for the first time, in the caller's tenant transaction.

        A second transaction with the same message waits for the first one to end and is then told False, or True when
        the first one rolled back.
        """
        if _CONSUMER.fullmatch(consumer) is None:
            raise ValueError(f"{consumer!r} is not a consumer name")
        return bool(await conn.fetchval(INSERT_ROW.format(schema=self._schema), consumer, message_id))
