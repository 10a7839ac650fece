"""Rate limits around the application: every request but webhooks is counted before it is read.

By address, and by API key or session where one is presented; by tenant too, once this process has seen the key accepted.
A credential that was not seen yet is held against the failed attempts of its address. All in one look at Redis.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from fastapi import Request
from switchboard.service import ASGIApp, Message, Receive, Scope, Send
from switchboard.service.asgi import respond

from api_gateway.access.cookies import SESSION
from api_gateway.access.proxies import Proxies
from api_gateway.limits.fields import fields, refusal
from api_gateway.limits.gcra import Charge, Decision, Outcome
from api_gateway.limits.limiter import Limiter
from api_gateway.limits.policies import Policies, address_key, hashed
from api_gateway.problems import problem_for, request_id

_PASSAGE = "rate_limits"
_WEBHOOKS = "/webhooks/"
"""Signed, and what calls live on: never counted."""
_KNOWN = 20_000


@dataclass
class Limits:
    """One per process: who is counted how, and the credentials that were accepted, with their tenant."""

    limiter: Limiter
    policies: Policies
    proxies: Proxies
    secret: bytes = field(repr=False)
    """Keys what is counted, so that Redis holds neither addresses nor mails."""
    _tenants: OrderedDict[str, UUID | None] = field(default_factory=OrderedDict, repr=False)

    async def enter(self, scope: Scope) -> Passage:
        """Counts a request that has just come."""
        address = hashed(self.secret, "address", address_key(self.proxies.address_of(scope)))
        credential = _credential(scope)
        passage = Passage(self, address, "" if credential is None else hashed(self.secret, "key", credential))
        await passage.take(*self._charges(scope, passage))
        return passage

    def _charges(self, scope: Scope, passage: Passage) -> list[Charge]:
        policies = self.policies
        special = policies.by_operation.get(f"{scope['method']} {scope['path']}")
        if special is not None:
            return [Charge(policies.anonymous, passage.address), Charge(special, passage.address)]
        if not passage.credential:
            return [Charge(policies.anonymous, passage.address)]
        charges = [Charge(policies.address, passage.address), Charge(policies.key, passage.credential)]
        if passage.credential not in self._tenants:
            charges.append(Charge(policies.failures, passage.address, cost=0))
            return charges
        self._tenants.move_to_end(passage.credential)
        passage.known, passage.tenant_id = True, self._tenants[passage.credential]
        if passage.tenant_id is not None:
            charges.append(Charge(policies.tenant, passage.tenant_id.hex))
        return charges

    def learn(self, credential: str, tenant_id: UUID | None) -> None:
        self._tenants[credential] = tenant_id
        if len(self._tenants) > _KNOWN:
            self._tenants.popitem(last=False)

    def forget(self, credential: str) -> None:
        self._tenants.pop(credential, None)


@dataclass
class Passage:
    """One request on its way through; ``credential`` is empty when it brought none, ``known`` when it was accepted before,
    for ``tenant_id``."""

    limits: Limits
    address: str
    credential: str
    known: bool = False
    tenant_id: UUID | None = None
    refused: Outcome | None = None
    _outcomes: dict[str, Outcome] = field(default_factory=dict)

    async def take(self, *charges: Charge) -> None:
        decision: Decision = await self.limits.limiter.take(charges)
        self.refused = decision.refused
        # What is only looked at is nobody's business unless it refuses.
        told = (o for c, o in zip(charges, decision.outcomes, strict=True) if c.cost or o is self.refused)
        self._outcomes |= {outcome.policy.name: outcome for outcome in told}

    def fields(self) -> list[tuple[bytes, bytes]]:
        return fields(self._outcomes.values())

    async def failed(self) -> None:
        """The credential was not accepted."""
        if self.credential:
            self.limits.forget(self.credential)
            await self.limits.limiter.take([Charge(self.limits.policies.failures, self.address)])


class RateLimits:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_WEBHOOKS):
            await self._app(scope, receive, send)
            return
        limits: Limits = scope["app"].state.resources.limits
        passage = await limits.enter(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 401:
                    await passage.failed()
                message = {**message, "headers": [*message.get("headers", ()), *passage.fields()]}
            await send(message)

        if passage.refused is not None:
            problem = problem_for(refusal(passage.refused), request_id(scope))
            await respond(answer, problem.status, problem.body, problem.headers)
            return
        scope["state"][_PASSAGE] = passage
        await self._app(scope, receive, answer)


async def accepted(request: Request, tenant_id: UUID | None) -> None:
    """For whoever has just accepted this request's credential: counts it for its tenant (``None``: it is in none) too, unless
    that was done at the door. RateLimited when that is one too many."""
    passage = request.scope["state"].get(_PASSAGE)
    if passage is None or (passage.known and passage.tenant_id == tenant_id):
        return
    passage.limits.learn(passage.credential, tenant_id)
    if tenant_id is not None:
        await _take(passage, Charge(passage.limits.policies.tenant, tenant_id.hex))


async def count_account(request: Request, account: str) -> None:
    """For logins, resets, links by mail and guesses of a password, before anything is looked up: counts an attempt on
    ``account`` (a mail address, known here or not; an id) and on logins from this address, in one look. RateLimited when
    that is one too many."""
    passage = request.scope["state"].get(_PASSAGE)
    if passage is None:
        return
    policies = passage.limits.policies
    key = hashed(passage.limits.secret, "account", account.strip().casefold().encode())
    await _take(passage, Charge(policies.account, key), Charge(policies.login, passage.address))


async def _take(passage: Passage, *charges: Charge) -> None:
    await passage.take(*charges)
    if passage.refused is not None:
        raise refusal(passage.refused)


def _credential(scope: Scope) -> bytes | None:
    """What the request says to be: digested with its secret, so that nobody is counted under a key that he doesn't have."""
    cookies = b""
    for key, value in scope["headers"]:
        if key == b"authorization":
            return bytes(value)
        if key == b"cookie":
            cookies = value
    if cookies:
        for part in cookies.decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name == SESSION and value:
                return hashlib.sha256(value.encode("latin-1")).digest()
    return None
