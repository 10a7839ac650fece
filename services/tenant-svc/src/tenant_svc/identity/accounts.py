"""Signing in with a password, and what a person may do about their own account."""

from __future__ import annotations

from uuid import UUID

import structlog
from asyncpg import Record
from switchboard.clock import Clock
from switchboard.contracts.base import Origin
from switchboard.contracts.identity import ChangePassword, Me, SignedIn, SignIn, TenantOfMine
from switchboard.db import Connection, Database
from switchboard.errors import Conflict, FieldProblem, InvalidInput, NotAuthenticated, NotFound
from switchboard.ids import token
from switchboard.sealed import Sealed

from tenant_svc.identity import repository as sql
from tenant_svc.identity.passwords import Passwords, outdated, password_problem
from tenant_svc.identity.sessions import Sessions, SignedInUser

_log = structlog.get_logger(__name__)

WRONG = "address and password don't belong together, or there is no such account"


class Accounts:
    def __init__(self, db: Database, sessions: Sessions, passwords: Passwords, clock: Clock) -> None:
        self._db = db
        self._sessions = sessions
        self._passwords = passwords
        self._clock = clock

    async def sign_in(self, body: SignIn, origin: Origin) -> SignedIn:
        """:class:`NotAuthenticated`, the same and after the same work, for an unknown address, a wrong password, an account
        without one, and a disabled one."""
        async with self._db.platform(readonly=True) as conn:
            account = await conn.fetchrow(sql.SELECT_BY_EMAIL, str(body.email).strip())
        held = None if account is None or account["disabled_at"] is not None else account["password_hash"]
        if not await self._passwords.matches(held, body.password):
            _log.info("sign-in refused", account_id=None if account is None else token(account["id"]))
            raise NotAuthenticated(WRONG)
        assert account is not None
        renewed = await self._passwords.hash(body.password) if outdated(account["password_hash"]) else None
        async with self._db.platform() as conn:
            # Whoever changes the password meanwhile ends all sessions: this one begins before that, or not at all.
            locked = await conn.fetchrow(sql.LOCK_ACCOUNT, account["id"])
            if locked is None or locked["password_hash"] != account["password_hash"]:
                raise NotAuthenticated(WRONG)
            if renewed is not None:
                await conn.execute(sql.UPDATE_HASH, account["id"], renewed)
            needs_code = locked["totp_confirmed_at"] is not None
            signed_in, _ = await self._sessions.open(conn, account["id"], origin, second_factor=needs_code)
        return signed_in

    async def me(self, user: SignedInUser, tenant_id: UUID | None) -> Me:
        async with self._db.platform(isolation="repeatable_read", readonly=True) as conn:
            account = await account_of(conn, user)
            left = await conn.fetchval(sql.COUNT_CODES, user.account_id)
            tenants = await conn.fetch(sql.SELECT_TENANTS, user.account_id, self._clock.now())
        return Me.model_validate(
            {
                "user_id": user.account_id,
                "email": Sealed(account["email"]),
                "has_password": account["password_hash"] is not None,
                "second_factor": account["totp_confirmed_at"] is not None,
                "recovery_codes_left": left,
                "tenant_id": tenant_id,
                "tenants": tuple(TenantOfMine.model_validate(dict(row)) for row in tenants),
            }
        )

    async def change_password(self, user: SignedInUser, body: ChangePassword, tenant_id: UUID | None) -> SignedIn:
        """Ends every other session, and gives this one, which is in ``tenant_id``, a new token."""
        async with self._db.platform(readonly=True) as conn:
            account = await account_of(conn, user)
        problem = password_problem(body.password, account["email"])
        if problem is not None:
            raise InvalidInput("that password can't be used", fields=[problem])
        held = account["password_hash"]
        if held is not None and not await self._passwords.matches(held, body.current or ""):
            problem = FieldProblem("/current", "is not the current password", "send the one that you sign in with")
            raise InvalidInput("the current password is not that one", fields=[problem])
        if held is None:
            # Nobody has ever known one: what shows whose account it is is its mailbox.
            raise Conflict("this account has no password yet: choose one by a link, POST /v1/auth/reset")
        password_hash = await self._passwords.hash(body.password)
        async with self._db.platform() if tenant_id is None else self._db.tenant(tenant_id) as conn:
            await conn.fetchrow(sql.LOCK_ACCOUNT, user.account_id)
            signed_in, session_id = await self._sessions.replace(conn, user, and_others=True)
            if tenant_id is not None:
                await conn.execute(sql.INSERT_SESSION_TENANT, session_id, self._clock.now())
            await conn.execute(sql.UPDATE_HASH, user.account_id, password_hash)
        _log.info("password changed", account_id=token(user.account_id))
        return signed_in

    async def disable(self, email: str) -> UUID:
        """Nobody is let in with this account any more; its sessions end, its links open nothing. :class:`NotFound` when
        there is none."""
        async with self._db.platform() as conn:
            account_id = await conn.fetchval(sql.SET_DISABLED, email, self._clock.now())
            if account_id is None:
                raise NotFound
            await self._sessions.end_all(conn, account_id)
        _log.info("account disabled", account_id=token(account_id))
        return UUID(str(account_id))

    async def enable(self, email: str) -> UUID:
        """Undoes :meth:`disable`; sessions of before stay ended."""
        async with self._db.platform() as conn:
            account_id = await conn.fetchval(sql.SET_DISABLED, email, None)
        if account_id is None:
            raise NotFound
        _log.info("account enabled", account_id=token(account_id))
        return UUID(str(account_id))

    async def set_support(self, email: str, support: bool) -> UUID:
        """Whether this person is of the platform's support, which goes where a tenant has let it in."""
        async with self._db.platform() as conn:
            account_id = await conn.fetchval(sql.SET_SUPPORT, email, support)
        if account_id is None:
            raise NotFound
        _log.info("support staff changed", account_id=token(account_id), support=support)
        return UUID(str(account_id))


async def account_of(conn: Connection, user: SignedInUser) -> Record:
    """:class:`NotAuthenticated` when it was disabled a moment ago."""
    account = await conn.fetchrow(sql.SELECT_ACCOUNT, user.account_id)
    if account is None:
        raise NotAuthenticated("you are not signed in any more; sign in")
    return account
