"""Looking at all tenants, page by page: each page is a short transaction of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

SIZE = 200
_FIRST = UUID(int=0)


async def pages(page: Callable[[UUID], Awaitable[Sequence[Any]]]) -> AsyncIterator[Any]:
    """The rows of ``page(after)``, which gives :data:`SIZE` of them at the most, in the order of their ``tenant_id``."""
    after = _FIRST
    while True:
        rows = await page(after)
        for row in rows:
            yield row
        if len(rows) < SIZE:
            return
        after = rows[-1]["tenant_id"]
