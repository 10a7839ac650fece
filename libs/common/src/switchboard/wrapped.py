"""How a tenant's data keys rest: wrapped under a master key, one of them sealing, older and coming ones beside it.

::

    01 ...                       one wrapped key and nothing else: what every tenant begins with
    02 {"keys": [[made, key],    several, the sealing one first; ``made`` in Unix seconds (0: not known),
                 ...]}           ``key`` a wrapped key in base64
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from switchboard.sealed import SealError

_ONE = b"\x01"
_SEVERAL = b"\x02"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """``made_at`` in Unix seconds, 0 when nobody wrote it down."""

    wrapped: bytes
    made_at: int = 0


def parse(value: bytes) -> tuple[WrappedKey, ...]:
    """The keys in ``value``, the sealing one first; :class:`SealError` for anything that :func:`render` did not make."""
    if value[:1] == _ONE:
        return (WrappedKey(value),)
    if value[:1] != _SEVERAL:
        raise SealError("not wrapped keys of a version we know")
    try:
        keys = tuple(
            WrappedKey(base64.b64decode(text, validate=True), int(made)) for made, text in json.loads(value[1:])["keys"]
        )
    except (ValueError, TypeError, KeyError, binascii.Error):
        raise SealError("wrapped keys that can't be read") from None
    if not keys:
        raise SealError("wrapped keys without a key")
    return keys


def render(keys: Sequence[WrappedKey]) -> bytes:
    """A single key whose age is unknown stays as it is: it is what services of before can read."""
    if len(keys) == 1 and not keys[0].made_at:
        return keys[0].wrapped
    listed = [[key.made_at, base64.b64encode(key.wrapped).decode()] for key in keys]
    return _SEVERAL + json.dumps({"keys": listed}, separators=(",", ":")).encode()
