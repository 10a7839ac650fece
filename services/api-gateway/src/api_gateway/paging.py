"""How much of a list is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from switchboard.contracts.base import Page

from api_gateway.access.caller import Caller


@dataclass(frozen=True, slots=True)
class Paging:
    """What was asked for, before it is known by whom."""

    limit: int
    cursor: str | None
    path: str

    def of(self, caller: Caller) -> Page:
        """For the owner of the list."""
        cursor = None
        if self.cursor is not None:
            cursor = caller.resources.cursors.unwrap(self.cursor, self._purpose(caller))
        return Page(limit=self.limit, cursor=cursor)

    def following(self, caller: Caller, cursor: str | None) -> str | None:
        """The owner's cursor of the next page, as the public gets it."""
        return None if cursor is None else caller.resources.cursors.wrap(cursor, self._purpose(caller))

    def _purpose(self, caller: Caller) -> str:
        return f"{caller.tenant_id.hex} {self.path}"


async def _paging(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200, description="entries at most")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=700, pattern=r"\A[A-Za-z0-9_-]+\z", description="next_cursor of the page before")
    ] = None,
) -> Paging:
    return Paging(limit, cursor, request.url.path)


PageWanted = Annotated[Paging, Depends(_paging)]
