"""The messages between the ear and its child: one letter, a length, a body (little endian)."""

import struct
from typing import BinaryIO

LOAD, START, AUDIO, INTERIM, FINISH, ABANDON = b"L", b"S", b"A", b"I", b"F", b"X"
LOADED, HEARD, DONE, REFUSED = b"l", b"i", b"f", b"e"
HEAD = struct.Struct("<cI")
LONGEST = 64 * 1024 * 1024  # bytes; a language model is a few MB


def pack(kind: bytes, body: bytes = b"") -> bytes:
    """One message."""
    return HEAD.pack(kind, len(body)) + body


def read(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next message, or None at the end of the stream. Blocking; for the child."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    kind, size = HEAD.unpack(head)
    body = stream.read(size) if size else b""
    return (kind, body) if len(body) == size else None
