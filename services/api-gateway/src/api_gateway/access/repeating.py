"""Requests that may be made again: the header ``Idempotency-Key`` names one, so that it is done once.

The service that does it keeps key and answer, in the transaction of what it does (:mod:`switchboard.repeats`). The digest
tells it whether the same is asked for again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID, uuid5

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from switchboard.contracts.base import Terms
from switchboard.errors import FieldProblem, InvalidInput

from api_gateway.access.caller import Asking, Caller

AskingT = TypeVar("AskingT", bound=Asking)

MAX_KEY = 200
_DESCRIPTION = (
    "any text of yours that names this request; repeated with it within 24 hours, the request counts once and is answered "
    "as the first time"
)


@dataclass(frozen=True, slots=True)
class Repetition:
    """``key`` is ``None`` when the request is not named. ``operation``: method and path."""

    key: str | None
    operation: str

    def __call__(self, caller: AskingT, *asked: BaseModel | bytes) -> AskingT:
        """``caller``, on the terms that what is asked for is done once; ``asked`` is the whole of it."""
        if self.key is None:
            return caller
        digest = hashlib.sha256(self.operation.encode())
        for part in asked:
            content = part if isinstance(part, bytes) else part.model_dump_json().encode()
            digest.update(b"|%d|" % len(content) + content)
        return caller.on(Terms(key=self.key, request=digest.hexdigest()))

    def id_of(self, asking: Caller) -> UUID | None:
        """For what has to be stored before its owner is asked: the same id for the same request; ``None`` without a key."""
        terms, actor = asking.actor.terms, asking.actor
        if terms is None:
            return None
        return uuid5(asking.tenant_id, f"{self.operation} {actor.kind} {actor.id} {terms.key} {terms.request}")


async def _repetition(
    request: Request,
    idempotency_key: Annotated[str | None, Header(description=_DESCRIPTION)] = None,
) -> Repetition:
    sent = request.headers.getlist("idempotency-key")
    if len(sent) > 1 or (idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY):
        problem = FieldProblem(
            "",
            "the header idempotency-key is empty, too long, or there twice",
            f"send one, of 1 to {MAX_KEY} characters",
        )
        raise InvalidInput("that key can't be used", fields=[problem])
    return Repetition(idempotency_key, f"{request.method} {request.url.path}")


Once = Annotated[Repetition, Depends(_repetition)]
"""What every POST that creates something takes; a house test looks."""
