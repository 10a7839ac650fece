"""Public shapes about API keys."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints
from switchboard.contracts.keys import MAX_DAYS, KeyList, KeyMade
from switchboard.rights import KEY_SCOPES

from api_gateway.schemas import Form, Line, Shape

_SCOPES = ", ".join(f"`{scope}`" for scope in sorted(KEY_SCOPES))
Scope = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class KeyForm(Form):
    """What the key may do, of what you may do yourself, and for how long."""

    name: Line = Field(min_length=1, max_length=80, examples=["Booking system"])
    scopes: tuple[Scope, ...] = Field(
        min_length=1, max_length=30, description=f"of {_SCOPES}", examples=[["calls:read", "documents:read"]]
    )
    expires_in_days: int = Field(default=90, ge=1, le=MAX_DAYS)


class KeyShape(Shape):
    """``roles`` is for keys from before there were scopes; ``expires_at`` is ``null`` for those."""

    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    created_at: AwareDatetime
    created_by: str = Field(description="`user:<id>` or `api_key:<id>`")
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None = Field(description="to the minute")


class KeyMadeShape(Shape):
    """``api_key`` is shown this once; keep it."""

    key: KeyShape
    api_key: str = Field(repr=False)

    @classmethod
    def of_made(cls, made: KeyMade) -> Self:
        return cls(key=KeyShape.of(made.key), api_key=str(made.api_key))


class KeysShape(Shape):
    """Keys in force, newest first."""

    keys: tuple[KeyShape, ...]

    @classmethod
    def of_list(cls, found: KeyList) -> Self:
        return cls(keys=tuple(KeyShape.of(key) for key in found.keys))
