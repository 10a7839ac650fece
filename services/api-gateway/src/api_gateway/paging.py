"""How much of a list is wanted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from switchboard.contracts.base import Page


async def _page(
    limit: Annotated[int, Query(ge=1, le=200, description="entries at most")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=500, pattern=r"\A[!-~]+\z", description="next_cursor of the page before")
    ] = None,
) -> Page:
    return Page(limit=limit, cursor=cursor)


PageWanted = Annotated[Page, Depends(_page)]
