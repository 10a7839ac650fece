"""Tokens of links in mails: ``<32 hex characters of an id>.<64 of a secret>``."""

from __future__ import annotations

import re
from uuid import UUID

from api_gateway.access.cookies import digest

_TOKEN = re.compile(r"([0-9a-f]{32})\.([0-9a-f]{64})")


def parse_link(token: str) -> tuple[UUID, str] | None:
    """The id, and the digest of the secret; ``None`` when it can't be one of ours. The secret goes no further."""
    match = _TOKEN.fullmatch(token)
    return None if match is None else (UUID(match[1]), digest(match[2]))
