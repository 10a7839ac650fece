"""Cursors of lists as the public gets them: opaque, signed, and good for one list of one tenant."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from switchboard.errors import FieldProblem, InvalidInput
from switchboard.settings import SealingSettings

_VERSION = b"\x01"
_MAC = 16


@dataclass(frozen=True, slots=True)
class Cursors:
    """Signs with the first of ``keys`` and takes all of them: gateways change their master key one after the other."""

    keys: Sequence[bytes] = field(repr=False)

    @classmethod
    def of(cls, sealing: SealingSettings) -> Cursors:
        return cls(
            [hashlib.blake2b(key=key, person=b"list cursors", digest_size=32).digest() for key in sealing.masters()]
        )

    def wrap(self, inner: str, purpose: str) -> str:
        """``inner``, the owner's own cursor, for the public; ``purpose`` says of which list."""
        content = inner.encode()
        return base64.urlsafe_b64encode(_VERSION + _mac(self.keys[0], purpose, content) + content).rstrip(b"=").decode()

    def unwrap(self, text: str, purpose: str) -> str:
        """:class:`InvalidInput` for whatever was not made here for that purpose."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _wrong() from None
        mac, content = raw[1 : 1 + _MAC], raw[1 + _MAC :]
        if raw[:1] != _VERSION or not any(hmac.compare_digest(mac, _mac(key, purpose, content)) for key in self.keys):
            raise _wrong()
        return content.decode()


def _mac(key: bytes, purpose: str, content: bytes) -> bytes:
    return hashlib.blake2b(purpose.encode() + b"\0" + content, key=key, digest_size=_MAC).digest()


def _wrong() -> InvalidInput:
    problem = FieldProblem(
        "/cursor", "not a cursor of this list", "send next_cursor of the page before, unchanged, or none"
    )
    return InvalidInput("cursor is wrong", fields=[problem])
