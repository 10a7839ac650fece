"""The operators' HTTP routes, behind one bearer token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from pydantic import SecretStr
from switchboard.contracts.base import Actor, Origin
from switchboard.db import Database
from switchboard.errors import NotAuthenticated
from switchboard.ids import parse_token, token

from tenant_svc.configuration.publishing import Publishing
from tenant_svc.operators.repository import SELECT_OVERVIEW
from tenant_svc.reconciler.service import Outcome, Reconciler
from tenant_svc.snapshots.service import Projection

OPERATOR = Actor(kind="service", id="operator")
_FIRST = UUID(int=0)


class BearerGuard:
    """Lets requests in that carry the operators' token; compares in constant time."""

    def __init__(self, secret: SecretStr) -> None:
        self._expected = b"Bearer " + secret.get_secret_value().encode()

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, self._expected):
            raise NotAuthenticated("these routes need the operators' bearer token")


def operators_router(
    db: Database,
    publishing: Publishing,
    projection: Projection,
    reconcilers: Sequence[Reconciler],
    secret: SecretStr,
) -> Router:
    """Everything under ``/ops``."""

    @get("/tenants")
    async def tenants(after: str | None = None, limit: Annotated[int, Parameter(ge=1, le=200)] = 50) -> dict[str, Any]:
        """Tenants by age, with their status; ``next`` is the ``after`` of the following page."""
        start = _FIRST if after is None else parse_token(after, "after")
        async with db.platform(readonly=True) as conn:
            rows = await conn.fetch(SELECT_OVERVIEW, start, limit)
        more = token(rows[-1]["tenant_id"]) if len(rows) == limit else None
        return {"tenants": [_plain(dict(row)) for row in rows], "next": more}

    @post("/tenants/{tenant:str}/suspend", status_code=200)
    async def suspend(tenant: str, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """Callers hear a notice; the clinic reads and changes nothing."""
        return {"status": await publishing.suspend(parse_token(tenant, "tenant"), _operator(request))}

    @post("/tenants/{tenant:str}/resume", status_code=200)
    async def resume(tenant: str, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """Ends a suspension; the clinic is paused and may go live again."""
        return {"status": await publishing.resume(parse_token(tenant, "tenant"), _operator(request))}

    @post("/reconcile", status_code=200)
    async def reconcile() -> dict[str, Any]:
        """One round over every media cell, now."""
        return {"cells": [_plain(asdict(await reconciler.once())) for reconciler in reconcilers]}

    @get("/reconcile")
    async def reconciled() -> dict[str, Any]:
        """The last round over every media cell."""
        last: list[Outcome] = [each.last for each in reconcilers if each.last is not None]
        return {"cells": [_plain(asdict(outcome)) for outcome in last]}

    @post("/snapshots/rebuild", status_code=200)
    async def rebuild() -> dict[str, Any]:
        """Fills the buckets of the bus with what they lack."""
        return asdict(await projection.rebuild())

    return Router(
        "/ops",
        route_handlers=[tenants, suspend, resume, reconcile, reconciled, rebuild],
        guards=[BearerGuard(secret)],
    )


def _operator(request: Request[Any, Any, Any]) -> Actor:
    """Operators share one token, so the audit can say from where it was used, but not by whom."""
    peer = request.client.host if request.client is not None else ""
    return OPERATOR.model_copy(update={"origin": Origin(ip=peer)})


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _text(value) for name, value in row.items()}


def _text(value: object) -> object:
    if isinstance(value, UUID):
        return token(value)
    return value.isoformat() if isinstance(value, datetime) else value
