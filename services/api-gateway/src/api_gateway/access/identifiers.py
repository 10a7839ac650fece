"""Ids in paths: 32 hexadecimal characters or a UUID's text. Anything else is refused before any I/O."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from switchboard.errors import InvalidId

# fullmatch and explicit classes: uuid.UUID() itself takes braces, "urn:uuid:" and hyphens anywhere.
_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEMA = {"format": "uuid"}


def parse_id(text: str, field: str) -> UUID:
    """The id that ``text`` writes; :class:`InvalidId` (400) names ``field``, and does not repeat the text."""
    if _ID.fullmatch(text) is None:
        raise InvalidId(field, "expected 32 hexadecimal characters, or a UUID such as this API returns")
    return UUID(text)


async def _call_id(call_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(call_id, "call_id")


async def _document_id(document_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(document_id, "document_id")


async def _key_id(key_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(key_id, "key_id")


async def _session_id(session_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(session_id, "session_id")


async def _user_id(user_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(user_id, "user_id")


async def _invitation_id(invitation_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(invitation_id, "invitation_id")


async def _access_id(access_id: Annotated[str, Path(json_schema_extra={**_SCHEMA})]) -> UUID:
    return parse_id(access_id, "access_id")


async def _call_filter(
    call_id: Annotated[str | None, Query(description="only this call", json_schema_extra={**_SCHEMA})] = None,
) -> UUID | None:
    return None if call_id is None else parse_id(call_id, "call_id")


# An endpoint takes these before its Caller: dependencies are solved in the order of the signature, and authenticating
# is I/O.
CallIdInPath = Annotated[UUID, Depends(_call_id)]
UserIdInPath = Annotated[UUID, Depends(_user_id)]
InvitationIdInPath = Annotated[UUID, Depends(_invitation_id)]
AccessIdInPath = Annotated[UUID, Depends(_access_id)]
SessionIdInPath = Annotated[UUID, Depends(_session_id)]
KeyIdInPath = Annotated[UUID, Depends(_key_id)]
DocumentIdInPath = Annotated[UUID, Depends(_document_id)]
OptionalCallId = Annotated[UUID | None, Depends(_call_filter)]
