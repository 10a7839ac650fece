"""Requests that may be made again: the header ``Idempotency-Key`` names what is to be made, so that it is made once.

The id of the new thing follows from tenant and key. The service that owns it finds it there when the request comes again,
through whichever gateway, and answers as it did; nothing has to be remembered here.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid5

from fastapi import Depends, Header
from switchboard.errors import FieldProblem, InvalidInput

MAX_KEY = 200


async def _key(
    idempotency_key: Annotated[
        str | None,
        Header(description="any text of yours that names this request; repeated with it, the request counts once"),
    ] = None,
) -> str | None:
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY:
        problem = FieldProblem("", "the header idempotency-key is empty or too long", f"send 1 to {MAX_KEY} characters")
        raise InvalidInput("that key can't be used", fields=[problem])
    return idempotency_key


IdempotencyKey = Annotated[str | None, Depends(_key)]


def id_for(tenant_id: UUID, kind: str, key: str | None) -> UUID | None:
    """The id of the ``kind`` of thing that this tenant's request makes; ``None`` without a key: any new one."""
    return None if key is None else uuid5(tenant_id, f"{kind} {key}")
