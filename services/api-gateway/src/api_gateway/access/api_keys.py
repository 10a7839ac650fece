"""API keys as customers present them: ``sb_<32 hex id>_<secret>``."""

from __future__ import annotations

import hashlib
import re

from switchboard.contracts.keys import Authenticate

_KEY = re.compile(r"sb_([0-9a-f]{32})_([A-Za-z0-9_-]{16,200})")


def parse_api_key(text: str) -> Authenticate | None:
    """The key's id and the SHA-256 of its secret; ``None`` when it can't be one of ours. The secret goes no further."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    return Authenticate(key_id=match[1], secret_sha256=hashlib.sha256(match[2].encode()).hexdigest())
