"""API keys: ``sb_<32 hex characters of the key's id>_<64 hex characters of its secret>``, stored as a hash of the secret."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.keys import Authenticate, KeyList, KeyMade, KeyView, NewKey
from switchboard.errors import Conflict, FieldProblem, InvalidInput, NotAuthenticated, NotFound
from switchboard.ids import parse_token, token
from switchboard.repeats import KEEP_SECRET
from switchboard.rights import KEY_SCOPES, Right, require
from switchboard.sealed import Sealed

from tenant_svc.keys import repository as sql
from tenant_svc.store import Store

PREFIX = "sb"
SECRET_BYTES = 32
MAX_KEYS = 100
TOUCH_AFTER = timedelta(minutes=1)
"""A key's last use is written down at most this often: a busy client must not make a write out of every request."""

_NOBODYS = bytes(32)


def format_api_key(key_id: UUID, secret: str) -> str:
    return f"{PREFIX}_{token(key_id)}_{secret}"


class Keys:
    def __init__(self, store: Store, entropy: Callable[[int], bytes]) -> None:
        self._store = store
        self._entropy = entropy

    async def make(self, tenant_id: UUID, body: NewKey, actor: Actor) -> KeyMade:
        """:class:`Forbidden` for a scope that ``actor`` lacks itself: a key can't do more than whoever made it."""
        scopes = _scopes(body)
        for right in scopes:
            require(actor, right)
        secret, key_id = self._entropy(SECRET_BYTES).hex(), self._store.ids.new()
        now = self._store.clock.now()
        view = KeyView(
            key_id=key_id,
            name=body.name,
            scopes=tuple(right.value for right in scopes),
            created_at=now,
            created_by=f"{actor.kind}:{actor.id}",
            expires_at=now + timedelta(days=body.expires_in_days),
            last_used_at=None,
        )
        digest = hashlib.sha256(secret.encode()).digest()
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(KeyMade)
            if earlier is not None:
                return earlier
            if await write.conn.fetchval(sql.COUNT_KEYS) >= MAX_KEYS:
                raise Conflict(f"there are {MAX_KEYS} keys already, and that is the most there can be; revoke one")
            row = (key_id, digest, list(view.scopes), view.name, view.created_by, now, view.expires_at)
            await write.conn.execute(sql.INSERT_KEY, *row)
            await write.audit(Line("api_key.made", Resource("api_key", token(key_id)), after=view))
            made = KeyMade(key=view, api_key=Sealed(format_api_key(key_id, secret)))
            return await write.attempt.keep(made, lasts=KEEP_SECRET)

    async def all_of(self, tenant_id: UUID) -> KeyList:
        async with self._store.db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_KEYS)
        return KeyList(keys=tuple(KeyView.model_validate(dict(row)) for row in rows))

    async def revoke(self, tenant_id: UUID, key_id: UUID, actor: Actor) -> None:
        """From the next request on nobody is let in with it. :class:`NotFound` when there is none in force."""
        async with self._store.write(tenant_id, actor) as write:
            name = await write.conn.fetchval(sql.REVOKE_KEY, key_id, self._store.clock.now())
            if name is None:
                raise NotFound
            await write.audit(Line("api_key.revoked", Resource("api_key", token(key_id)), before={"name": name}))

    async def authenticate(self, body: Authenticate) -> Actor:
        """The actor that a presented key stands for; one answer for an unknown key, a wrong secret, a revoked and an
        expired key."""
        key_id = parse_token(body.key_id, "key_id")
        async with self._store.db.platform(readonly=True) as conn:
            found = await conn.fetchrow(sql.SELECT_KEY, key_id)
        # The comparison is made in any case, so that the time it takes does not tell whether the key exists.
        held = _NOBODYS if found is None else bytes(found["secret_sha256"])
        matches = hmac.compare_digest(held, bytes.fromhex(body.secret_sha256))
        now = self._store.clock.now()
        if found is None or not matches or (found["expires_at"] is not None and found["expires_at"] <= now):
            raise NotAuthenticated("that API key is not valid")
        if found["last_used_at"] is None or now - found["last_used_at"] >= TOUCH_AFTER:
            async with self._store.db.tenant(found["tenant_id"]) as conn:
                await conn.execute(sql.TOUCH_KEY, key_id, now)
        return Actor(
            kind="api_key",
            id=token(key_id),
            tenant_id=found["tenant_id"],
            roles=tuple(sorted(found["roles"])),
            scopes=tuple(sorted(found["scopes"])),
            suspended=found["suspended"],
        )


def _scopes(body: NewKey) -> list[Right]:
    """The rights that are asked for, once each; :class:`InvalidInput` names what no key can have."""
    known = {right.value: right for right in KEY_SCOPES}
    problems = [
        FieldProblem(f"/scopes/{index}", "is nothing that a key can be for", f"use some of {', '.join(sorted(known))}")
        for index, scope in enumerate(body.scopes)
        if scope not in known
    ]
    if problems:
        raise InvalidInput(f"{len(problems)} scope(s) can't be given to a key", fields=problems)
    return [known[scope] for scope in sorted(set(body.scopes))]
