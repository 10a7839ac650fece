"""Secrets that are shown once and kept as a hash: of sessions, links, invitations, recovery codes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Entropy = Callable[[int], bytes]

SECRET_BYTES = 32
CODE_BYTES = 10


def new_secret(entropy: Entropy) -> str:
    """256 random bits in hex."""
    return entropy(SECRET_BYTES).hex()


def digest(secret: str) -> bytes:
    """What is kept of a secret. It is random enough that a fast hash can't be turned round."""
    return hashlib.sha256(secret.encode()).digest()


def new_recovery_code(entropy: Entropy) -> str:
    """80 random bits as people copy them: ``4f2a-90bc-11de-7a6b-c03d``."""
    text = entropy(CODE_BYTES).hex()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def plain_code(typed: str) -> str:
    """A code as it was shown, however somebody typed it."""
    text = "".join(letter for letter in typed.lower() if letter in "0123456789abcdef")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
