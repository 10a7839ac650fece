"""The second factor: codes of an authenticator (RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pyotp
import structlog
from asyncpg import Record
from switchboard.clock import Clock
from switchboard.columns import SealedColumn
from switchboard.contracts.base import Origin
from switchboard.contracts.identity import Code, RecoveryCodes, SecondFactor, SignedIn, TotpBegun
from switchboard.db import Connection, Database
from switchboard.errors import Conflict, FieldProblem, InvalidInput, NotAuthenticated
from switchboard.ids import token
from switchboard.sealed import DataKeys as Keys
from switchboard.sealed import Sealed

from tenant_svc.identity import repository as sql
from tenant_svc.identity.accounts import account_of
from tenant_svc.identity.sessions import Sessions, SignedInUser
from tenant_svc.identity.tokens import digest, new_recovery_code, plain_code
from tenant_svc.store import DataKeys

_log = structlog.get_logger(__name__)

SECRET = SealedColumn("tenancy.accounts", "totp_secret")
"""Sealed under the platform's key: an account belongs to no tenant."""

ISSUER = "Switchboard"
STEP_S = 30
AROUND = 1
"""Steps before and after the current one that are taken: clocks of phones go wrong."""
MOST_ATTEMPTS = 5
MOST_GUESSES = 20
GUESSES_WITHIN = timedelta(minutes=15)
"""Beyond so many codes of one account, right or wrong, none is taken: about one chance in 15,000 for who has the password."""
RECOVERY_CODES = 10

_WRONG = "that code is wrong, was used, or too many wrong ones were sent; sign in again for another try"


class Totp:
    def __init__(
        self, db: Database, sessions: Sessions, keys: DataKeys, clock: Clock, entropy: Callable[[int], bytes]
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._keys = keys
        self._clock = clock
        self._entropy = entropy

    async def finish_signing_in(self, body: SecondFactor, origin: Origin) -> SignedIn:
        """A full session in the place of one that waits for its code; after :data:`MOST_ATTEMPTS` wrong ones never, and for a
        while for no session of an account for which :data:`MOST_GUESSES` were tried."""
        presented = bytes.fromhex(body.token_sha256)
        async with self._db.platform() as conn:
            waiting = await conn.fetchrow(sql.COUNT_ATTEMPT, presented, self._clock.now(), MOST_ATTEMPTS)
        if waiting is None or await self._guessed(waiting["account_id"]):
            raise NotAuthenticated(_WRONG)
        async with self._db.platform() as conn:
            account = await conn.fetchrow(sql.LOCK_ACCOUNT, waiting["account_id"])
            if account is None or not await self._right(conn, account, str(body.code)):
                raise NotAuthenticated(_WRONG)
            if not await conn.fetchval(sql.END_SESSION, waiting["id"], account["id"], self._clock.now()):
                raise NotAuthenticated(_WRONG)  # a code that was sent twice at once: one session comes of it
            signed_in, _ = await self._sessions.open(conn, account["id"], origin)
        return signed_in

    async def _guessed(self, account_id: UUID) -> bool:
        """Whether too many codes were tried for this account, by however many sign-ins: somebody has its password."""
        since = self._clock.now() - GUESSES_WITHIN
        async with self._db.platform(readonly=True) as conn:
            tried = int(await conn.fetchval(sql.SUM_ATTEMPTS, account_id, since))
        if tried > MOST_GUESSES:
            _log.warning("second factor is being guessed", account_id=token(account_id), tried=tried)
        return tried > MOST_GUESSES

    async def begin(self, user: SignedInUser) -> TotpBegun:
        """A fresh secret, in force once it is confirmed. :class:`Conflict` while another one is in force."""
        secret = base64.b32encode(self._entropy(20)).decode()
        cipher = await self._keys.cipher(None)
        async with self._db.platform() as conn:
            account = await _locked(conn, user)
            if account["totp_confirmed_at"] is not None:
                raise Conflict("there is a second factor already; disable it first")
            await conn.execute(sql.SET_TOTP, user.account_id, SECRET.seal(cipher, user.account_id, secret))
        uri = pyotp.TOTP(secret).provisioning_uri(name=account["email"], issuer_name=ISSUER)
        return TotpBegun(secret=Sealed(secret), uri=Sealed(uri))

    async def confirm(self, user: SignedInUser, body: Code) -> RecoveryCodes:
        """The first code shows that the authenticator has the secret. Recovery codes of before are gone."""
        codes = [new_recovery_code(self._entropy) for _ in range(RECOVERY_CODES)]
        async with self._db.platform() as conn:
            account = await _locked(conn, user)
            if account["totp_secret_sealed"] is None or account["totp_confirmed_at"] is not None:
                raise Conflict("there is nothing to confirm; begin with POST /v1/me/second-factor")
            step = await self._step(account, str(body.code))
            if step is None:
                raise _wrong_code()
            await conn.execute(sql.CONFIRM_TOTP, user.account_id, self._clock.now(), step)
            await conn.execute(sql.DELETE_CODES, user.account_id)
            await conn.executemany(sql.INSERT_CODE, [(user.account_id, digest(code)) for code in codes])
        _log.info("second factor in force", account_id=token(user.account_id))
        return RecoveryCodes(codes=tuple(Sealed(code) for code in codes))

    async def disable(self, user: SignedInUser, body: Code) -> None:
        """With a code, of which a session may try :data:`MOST_ATTEMPTS`: who has somebody's open session can't take their
        second factor away."""
        async with self._db.platform() as conn:
            own = (user.session_id, user.account_id, MOST_ATTEMPTS)
            if not await conn.fetchval(sql.COUNT_OWN_ATTEMPT, *own):
                raise NotAuthenticated("too many codes were tried; sign in again for another try")
        async with self._db.platform() as conn:
            account = await _locked(conn, user)
            if account["totp_confirmed_at"] is None:
                raise Conflict("there is no second factor")
            if not await self._right(conn, account, str(body.code)):
                raise _wrong_code()
            await conn.execute(sql.CLEAR_TOTP, user.account_id)
            await conn.execute(sql.DELETE_CODES, user.account_id)
        _log.info("second factor disabled", account_id=token(user.account_id))

    async def _right(self, conn: Connection, account: Record, typed: str) -> bool:
        """Whether the code is the account's, and has not been used; it has been then."""
        step = await self._step(account, typed)
        if step is not None:
            return bool(await conn.fetchval(sql.USE_TOTP_STEP, account["id"], step))
        return bool(await conn.fetchval(sql.USE_CODE, account["id"], digest(plain_code(typed))))

    async def _step(self, account: Record, typed: str) -> int | None:
        """The time step whose code this is; ``None``: of none about now."""
        if account["totp_secret_sealed"] is None:
            return None
        secret = SECRET.open(await self._keys.cipher(None), account["id"], bytes(account["totp_secret_sealed"]))
        generator = pyotp.TOTP(secret, interval=STEP_S)
        now = int(self._clock.now().timestamp()) // STEP_S
        given = "".join(typed.split()).encode()
        steps = range(now - AROUND, now + AROUND + 1)
        matching = [step for step in steps if hmac.compare_digest(generator.generate_otp(step).encode(), given)]
        return matching[0] if matching else None


async def _locked(conn: Connection, user: SignedInUser) -> Record:
    account = await conn.fetchrow(sql.LOCK_ACCOUNT, user.account_id)
    return await account_of(conn, user) if account is None else account


def _wrong_code() -> InvalidInput:
    problem = FieldProblem("/code", "is not the code of this moment", "send the one that your authenticator shows now")
    return InvalidInput("that code is wrong", fields=[problem])


async def reseal_secrets(conn: Connection, keys: Keys) -> int:
    """Authenticators' secrets under the key that seals today; how many were under another one."""
    count = 0
    for row in await conn.fetch(sql.LOCK_SEALED):
        sealed = SECRET.resealed(keys, row["id"], bytes(row["totp_secret_sealed"]))
        if sealed is not None:
            await conn.execute(sql.RESEAL, row["id"], sealed)
            count += 1
    return count
