"""Links by mail: to sign up, to sign in, to choose a new password.

Whoever asks gets the same answer, and the same work is done, whether an account has the address or not: one look, one row for
the link (of an address without an account it opens nothing), one mail.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from switchboard.clock import Clock
from switchboard.contracts.base import Origin
from switchboard.contracts.identity import RedeemLink, SignedIn, WantLink
from switchboard.db import Connection, Database
from switchboard.errors import FieldProblem, InvalidInput, NotAuthenticated
from switchboard.ids import Ids, token

from tenant_svc.identity import repository as sql
from tenant_svc.identity.passwords import Passwords, password_problem
from tenant_svc.identity.sessions import Sessions
from tenant_svc.identity.tokens import digest, new_secret
from tenant_svc.mail import texts
from tenant_svc.mail.models import Mail
from tenant_svc.mail.outbox import MailOutbox
from tenant_svc.validation import email_problem, refuse

_log = structlog.get_logger(__name__)

VALID_FOR = timedelta(minutes=10)
MOST = 5
"""Mails to one address in :data:`VALID_FOR`, whoever asks: nobody's mailbox is filled by strangers."""

_UNUSABLE = "that link can't be used: it is wrong, too old, was used, or belongs to another browser; ask for a new one"


class Links:
    """``console``: the address of the page that links lead to."""

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        passwords: Passwords,
        mail: MailOutbox,
        ids: Ids,
        clock: Clock,
        entropy: Callable[[int], bytes],
        console: str,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._passwords = passwords
        self._mail = mail
        self._ids = ids
        self._clock = clock
        self._entropy = entropy
        self._console = console.rstrip("/")

    async def want(self, body: WantLink) -> None:
        """:class:`InvalidInput` for what can't be an address or a password; otherwise the same for everybody."""
        email = str(body.email).strip()
        found = [email_problem(email, "/email")]
        password_hash: str | None = None
        if body.password is not None:
            if body.purpose != "sign_up":
                found.append(FieldProblem("/password", "is not for this", "leave it out"))
            found.append(password_problem(body.password, email))
        refuse("the request", [problem for problem in found if problem is not None])
        if body.password is not None:
            password_hash = await self._passwords.hash(body.password)
        async with self._db.platform() as conn:
            await self._write(conn, body, email, password_hash)
        self._mail.wake()

    async def _write(self, conn: Connection, body: WantLink, email: str, password_hash: str | None) -> None:
        account = await conn.fetchrow(sql.SELECT_BY_EMAIL, email)
        now = self._clock.now()
        sent = await conn.fetchval(sql.COUNT_LINKS, email, now - VALID_FOR)
        link_id, secret = self._ids.new(), new_secret(self._entropy)
        link = f"{self._console}/link#{token(link_id)}.{secret}"
        # To the address as its account has it: mail systems need not, but may, tell upper from lower case.
        to = email if account is None else account["email"]
        known = account is not None and account["disabled_at"] is None
        mail, opens = self._mail_for(body.purpose, to, link, known, account is None)
        await conn.execute(
            sql.INSERT_LINK,
            link_id,
            body.purpose if opens else "nothing",
            digest(secret),
            bytes.fromhex(body.browser_sha256),
            email,
            password_hash,
            now,
            now + VALID_FOR,
        )
        if sent < MOST:
            await self._mail.add(conn, mail, now + VALID_FOR)

    def _mail_for(self, purpose: str, to: str, link: str, known: bool, new: bool) -> tuple[Mail, bool]:
        """The mail, and whether its link opens something. A disabled account is told nothing of itself."""
        if purpose == "sign_up":
            return (texts.sign_up(to, link), True) if new else (texts.has_account(to, self._console), False)
        if not known:
            return texts.no_account(to, self._console), False
        return (texts.sign_in(to, link) if purpose == "sign_in" else texts.reset(to, link)), True

    async def redeem(self, body: RedeemLink, origin: Origin) -> SignedIn:
        """A session, for the first who comes with a link in time, from the browser that asked for it."""
        # Before the transaction: a hash takes as long as a hundred statements.
        password_hash = None if body.password is None else await self._passwords.hash(body.password)
        now = self._clock.now()
        async with self._db.platform() as conn:
            link = await conn.fetchrow(
                sql.USE_LINK,
                body.link_id,
                bytes.fromhex(body.secret_sha256),
                bytes.fromhex(body.browser_sha256),
                now,
            )
            if link is None:
                raise NotAuthenticated(_UNUSABLE)
            if link["purpose"] == "sign_up":
                await conn.execute(sql.INSERT_ACCOUNT, self._ids.new(), link["email"], link["password_hash"], now)
            # Of two links that both open an account the second finds it there; its password is not taken.
            account = await conn.fetchrow(sql.SELECT_BY_EMAIL, link["email"])
            if account is None or account["disabled_at"] is not None:
                raise NotAuthenticated(_UNUSABLE)
            if link["purpose"] == "reset":
                # Raising undoes the use of the link.
                _check_new(body, account["email"])
                await conn.fetchrow(sql.LOCK_ACCOUNT, account["id"])
                await conn.execute(sql.UPDATE_HASH, account["id"], password_hash)
                await self._sessions.end_all(conn, account["id"])
                _log.info("password reset", account_id=token(account["id"]))
            needs_code = account["totp_confirmed_at"] is not None
            signed_in, _ = await self._sessions.open(conn, account["id"], origin, second_factor=needs_code)
        return signed_in


def _check_new(body: RedeemLink, email: str) -> None:
    if body.password is None:
        problem = FieldProblem("/password", "is missing", "send the new password with the link")
        raise InvalidInput("this link is for choosing a new password", fields=[problem])
    problem_found = password_problem(body.password, email)
    if problem_found is not None:
        raise InvalidInput("that password can't be used", fields=[problem_found])
