"""Versions of what is edited: two people who change the same thing must not undo each other's work unseen."""

from __future__ import annotations

import hashlib

from switchboard.contracts.base import Actor, Contract
from switchboard.errors import FieldProblem, PreconditionFailed


def etag(state: Contract) -> str:
    """Names this very state: 32 hexadecimal characters. For contracts without sealed fields."""
    return hashlib.sha256(state.model_dump_json().encode()).hexdigest()[:32]


def unchanged(actor: Actor, state: Contract) -> None:
    """:class:`PreconditionFailed` when ``actor`` asks for the change of another state than ``state``, which is locked."""
    expected = actor.terms.if_match if actor.terms is not None else ()
    if expected and etag(state) not in expected:
        problem = FieldProblem("", "the header if-match names another version", "get it again, then change that")
        raise PreconditionFailed("it was changed meanwhile", fields=[problem])
