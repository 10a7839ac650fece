"""Who is asking. The gateway finds out and says so in every request; whether they may is the owning service's to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Self, TypeVar
from uuid import UUID

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from switchboard.contracts.base import Actor, Contract, Rpc, Terms
from switchboard.contracts.identity import AUTHENTICATE_SESSION, AuthenticateSession
from switchboard.contracts.keys import AUTHENTICATE
from switchboard.errors import Forbidden, NotAuthenticated

from api_gateway.access.api_keys import parse_api_key
from api_gateway.access.cookies import SESSION, digest, presented
from api_gateway.access.origin import origin_of
from api_gateway.access.same_origin import SAFE, check_same_origin
from api_gateway.limits.middleware import accepted
from api_gateway.resources import Resources, resources

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)

_bearer = HTTPBearer(
    scheme_name="apiKey",
    bearerFormat="sb_<id>_<secret>",
    description="An API key, of POST /v1/keys.",
    auto_error=False,
)
_session = APIKeyCookie(
    name=SESSION, scheme_name="session", description="A person's session, of POST /v1/auth/sign-in.", auto_error=False
)


@dataclass(frozen=True, slots=True)
class Asking:
    """Whoever asks."""

    resources: Resources
    actor: Actor

    def on(self, terms: Terms) -> Self:
        """The same one, asking on these terms."""
        return replace(self, actor=self.actor.model_copy(update={"terms": terms}))


@dataclass(frozen=True, slots=True)
class Caller(Asking):
    """An authenticated caller. ``tenant_id`` comes from the credential and from nowhere else."""

    tenant_id: UUID

    async def ask(self, spec: Rpc[RequestT, ReplyT], body: RequestT) -> ReplyT:
        """Ask the service that owns ``spec``, on this caller's behalf."""
        return await self.resources.bus.request(spec, body, tenant_id=self.tenant_id, actor=self.actor)


@dataclass(frozen=True, slots=True)
class Visitor(Asking):
    """Whoever asks about their own account, which belongs to no tenant; or nobody yet, with an anonymous actor."""

    async def ask(self, spec: Rpc[RequestT, ReplyT], body: RequestT) -> ReplyT:
        return await self.resources.bus.request(spec, body, tenant_id=None, actor=self.actor)


async def _actor(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _cookie: Annotated[str | None, Security(_session)],
) -> Actor:
    """An API key goes before a cookie; a header that holds none of ours is refused, whatever cookie there is."""
    if request.headers.getlist("authorization"):
        actor = await _of_key(request, credentials)
    else:
        actor = await _of_session(request)
    await accepted(request, actor.tenant_id)
    if actor.tenant_id is not None:
        structlog.contextvars.bind_contextvars(tenant_id=actor.tenant_id.hex)
    return actor.model_copy(update={"origin": origin_of(request)})


async def _of_key(request: Request, credentials: HTTPAuthorizationCredentials | None) -> Actor:
    if credentials is None or len(request.headers.getlist("authorization")) != 1:
        raise NotAuthenticated("send the header authorization: Bearer <your API key>")
    key = parse_api_key(credentials.credentials)
    if key is None:
        raise NotAuthenticated("that is not an API key of ours; one looks like sb_<id>_<secret>")
    actor = await resources(request).bus.request(AUTHENTICATE, key, tenant_id=None, actor=Actor.anonymous())
    if actor.tenant_id is None:
        raise NotAuthenticated("that API key belongs to no tenant")
    return actor


async def _of_session(request: Request) -> Actor:
    secret = presented(request, SESSION)
    if secret is None:
        raise NotAuthenticated("sign in, or send the header authorization: Bearer <your API key>")
    found = resources(request)
    if request.method not in SAFE:
        check_same_origin(request, found.console)
    body = AuthenticateSession(token_sha256=digest(secret))
    return await found.bus.request(AUTHENTICATE_SESSION, body, tenant_id=None, actor=Actor.anonymous())


async def _authenticated(request: Request, actor: Annotated[Actor, Depends(_actor)]) -> Caller:
    if actor.tenant_id is None:
        raise Forbidden("this is about a clinic, and you are in none: choose one with POST /v1/me/tenant")
    return Caller(resources(request), actor, actor.tenant_id)


async def _person(request: Request, actor: Annotated[Actor, Depends(_actor)]) -> Visitor:
    return Visitor(resources(request), actor)


async def _newcomer(request: Request) -> Visitor:
    """Nobody yet. What follows may set a cookie, so no other site may send somebody's browser here."""
    found = resources(request)
    check_same_origin(request, found.console)
    return Visitor(found, Actor(kind="anonymous", origin=origin_of(request)))


Authenticated = Annotated[Caller, Depends(_authenticated)]
Person = Annotated[Visitor, Depends(_person)]
Newcomer = Annotated[Visitor, Depends(_newcomer)]
