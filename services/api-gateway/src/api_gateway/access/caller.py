"""Who is asking. The gateway finds out and says so in every request; whether they may is the owning service's to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, TypeVar
from uuid import UUID

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from switchboard.contracts.base import Actor, Contract, Rpc, Terms
from switchboard.contracts.keys import AUTHENTICATE
from switchboard.errors import NotAuthenticated

from api_gateway.access.api_keys import parse_api_key
from api_gateway.access.origin import origin_of
from api_gateway.limits.middleware import accepted
from api_gateway.resources import Resources, resources

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)

_bearer = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="sb_<id>_<secret>",
    description="The API key that sign-up returned.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller. ``tenant_id`` comes from the credential and from nowhere else."""

    resources: Resources
    actor: Actor
    tenant_id: UUID

    def on(self, terms: Terms) -> Caller:
        """The same caller, asking on these terms."""
        return replace(self, actor=self.actor.model_copy(update={"terms": terms}))

    async def ask(self, spec: Rpc[RequestT, ReplyT], body: RequestT) -> ReplyT:
        """Ask the service that owns ``spec``, on this caller's behalf."""
        return await self.resources.bus.request(spec, body, tenant_id=self.tenant_id, actor=self.actor)


async def _authenticated(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    if credentials is None or len(request.headers.getlist("authorization")) != 1:
        raise NotAuthenticated("send the header authorization: Bearer <your API key>")
    key = parse_api_key(credentials.credentials)
    if key is None:
        raise NotAuthenticated("that is not an API key of ours; one looks like sb_<id>_<secret>")
    found = resources(request)
    actor = await found.bus.request(AUTHENTICATE, key, tenant_id=None, actor=Actor.anonymous())
    if actor.tenant_id is None:
        raise NotAuthenticated("that API key belongs to no tenant")
    await accepted(request, actor.tenant_id)
    structlog.contextvars.bind_contextvars(tenant_id=actor.tenant_id.hex)
    return Caller(found, actor.model_copy(update={"origin": origin_of(request)}), actor.tenant_id)


Authenticated = Annotated[Caller, Depends(_authenticated)]
