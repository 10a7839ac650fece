"""Invitations by mail, each for one address: who accepts it is signed in with that address, which has answered by then."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.members import Accepted, AcceptInvitation, InvitationList, InvitationView, Invite
from switchboard.errors import Conflict, FieldProblem, NotFound
from switchboard.ids import token
from switchboard.rights import Right, Role, require
from switchboard.sealed import Sealed

from tenant_svc.identity.accounts import account_of
from tenant_svc.identity.repository import INSERT_MEMBER
from tenant_svc.identity.sessions import SignedInUser
from tenant_svc.identity.tokens import digest, new_secret
from tenant_svc.mail import texts
from tenant_svc.mail.outbox import MailOutbox
from tenant_svc.members import repository as sql
from tenant_svc.store import Store
from tenant_svc.tenants.repository import SELECT_TENANT
from tenant_svc.validation import email_problem, refuse

VALID_FOR = timedelta(days=7)
MOST_WAITING = 100
MOST_MEMBERS = 500
_NOBODYS = bytes(32)
_UNUSABLE = "that invitation can't be used: it is wrong, too old, was used or revoked, or is for another address"


class Invitations:
    """``console``: the address of the page that links lead to."""

    def __init__(self, store: Store, mail: MailOutbox, entropy: Callable[[int], bytes], console: str) -> None:
        self._store = store
        self._mail = mail
        self._entropy = entropy
        self._console = console

    async def invite(self, tenant_id: UUID, body: Invite, actor: Actor) -> InvitationView:
        """Takes the place of one that waits for the same address."""
        if body.role == Role.OWNER:
            require(actor, Right.OWNERS_WRITE)
        email = str(body.email).strip()
        found: FieldProblem | None = email_problem(email, "/email")
        refuse("the invitation", [] if found is None else [found])
        invitation_id, secret, now = self._store.ids.new(), new_secret(self._entropy), self._store.clock.now()
        view = InvitationView(
            invitation_id=invitation_id,
            email=Sealed(email),
            role=body.role,
            invited_by=f"{actor.kind}:{actor.id}",
            created_at=now,
            expires_at=now + VALID_FOR,
        )
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(InvitationView)
            if earlier is not None:
                return earlier
            if await write.conn.fetchrow(sql.SELECT_BY_ADDRESS, email) is not None:
                raise Conflict("somebody with that address is a member already")
            await write.conn.execute(sql.SUPERSEDE_INVITATIONS, email, now)
            if len(await write.conn.fetch(sql.SELECT_INVITATIONS, now)) >= MOST_WAITING:
                raise Conflict(
                    f"{MOST_WAITING} invitations wait already, and that is the most there can be; revoke some"
                )
            row = (invitation_id, email, body.role.value, digest(secret), view.invited_by, now, view.expires_at)
            await write.conn.execute(sql.INSERT_INVITATION, *row)
            await write.audit(Line("invitation.sent", Resource("invitation", token(invitation_id)), after=view))
            tenant = await write.conn.fetchrow(SELECT_TENANT)
            assert tenant is not None
            link = f"{self._console}/invitation#{token(invitation_id)}.{secret}"
            await self._mail.add(write.conn, texts.invitation(email, tenant["name"], link), view.expires_at)
            await write.attempt.keep(view)
        self._mail.wake()
        return view

    async def waiting(self, tenant_id: UUID) -> InvitationList:
        async with self._store.db.tenant(tenant_id, readonly=True) as conn:
            rows = await conn.fetch(sql.SELECT_INVITATIONS, self._store.clock.now())
        views = (InvitationView.model_validate({**dict(row), "email": Sealed(row["email"])}) for row in rows)
        return InvitationList(invitations=tuple(views))

    async def revoke(self, tenant_id: UUID, invitation_id: UUID, actor: Actor) -> None:
        async with self._store.write(tenant_id, actor) as write:
            row = await write.conn.fetchrow(sql.REVOKE_INVITATION, invitation_id, self._store.clock.now())
            if row is None:
                raise NotFound
            if row["role"] == Role.OWNER:
                require(actor, Right.OWNERS_WRITE)
            line = Line("invitation.revoked", Resource("invitation", token(invitation_id)), {"role": row["role"]})
            await write.audit(line)

    async def accept(self, user: SignedInUser, body: AcceptInvitation, actor: Actor) -> Accepted:
        """One answer for everything that an invitation can lack, also for the wrong address."""
        async with self._store.db.platform(readonly=True) as conn:
            account = await account_of(conn, user)
            found = await conn.fetchrow(sql.SELECT_INVITATION, body.invitation_id)
        held = _NOBODYS if found is None else bytes(found["secret_sha256"])
        matches = hmac.compare_digest(held, bytes.fromhex(body.secret_sha256))
        if found is None or not matches or found["email"].lower() != account["email"].lower():
            raise NotFound(_UNUSABLE)
        now = self._store.clock.now()
        async with self._store.write(found["tenant_id"], actor) as write:
            role = await write.conn.fetchval(sql.USE_INVITATION, body.invitation_id, now)
            if role is None:
                raise NotFound(_UNUSABLE)
            if await write.conn.fetchrow(sql.SELECT_MEMBER, user.account_id) is not None:
                raise Conflict("you are a member there already")
            if await write.conn.fetchval(sql.COUNT_MEMBERS) >= MOST_MEMBERS:
                raise Conflict(f"there are {MOST_MEMBERS} members already, and that is the most there can be")
            await write.conn.execute(INSERT_MEMBER, user.account_id, role, now)
            after = {"role": role, "invitation_id": token(body.invitation_id)}
            await write.audit(Line("member.joined", Resource("member", token(user.account_id)), after=after))
        return Accepted(tenant_id=found["tenant_id"], role=Role(role))
