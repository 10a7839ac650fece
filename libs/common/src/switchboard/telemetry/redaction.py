"""The net under "no content in logs": masks what looks like a phone number and what stands under a telling key."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

MASK = "[redacted]"

PII_KEYS = frozenset(
    {
        *("phone", "phone_number", "number", "e164", "caller", "caller_number", "callee", "dialled", "dialled_number"),
        *("from_number", "to_number", "email", "address", "patient", "customer", "caller_name", "display_name"),
        *("text", "transcript", "utterance", "words", "question", "answer", "prompt", "content", "body", "payload"),
        *("passage", "passages", "query", "query_string"),
        *("password", "secret", "token", "authorization", "cookie", "api_key", "api_secret", "dsn", "master_key"),
    }
)

# With a plus it is E.164 also when written with spaces. Without one it takes nine digits or more that no letter, dot or
# hyphen touches, or ids, versions and times would be masked as well; after an underscore seven do, which is how LiveKit
# SIP puts callers into the names of rooms and participants.
_NUMBER = re.compile(r"(?<!\d)\+\d(?:[ ().-]{0,2}\d){6,14}|(?<![\w.-])\d{9,15}(?![\w-]|\.\d)|(?<=_)\d{7,15}(?=_|\b)")
_DEPTH = 6


def mask_numbers(text: str) -> str:
    """``text`` with everything that looks like a phone number masked."""
    return _NUMBER.sub(MASK, text)


def redact(value: Any, depth: int = _DEPTH) -> Any:
    """``value`` with numbers in its strings masked, and whole values under telling keys."""
    if isinstance(value, str):
        return mask_numbers(value)
    if depth == 0:
        return MASK
    if isinstance(value, Mapping):
        return {key: MASK if str(key).lower() in PII_KEYS else redact(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth - 1) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    # Anything else would be turned into text by the renderer, after this net.
    return mask_numbers(str(value))


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor; stands right before the renderer."""
    return {key: MASK if key.lower() in PII_KEYS else redact(value) for key, value in event.items()}
