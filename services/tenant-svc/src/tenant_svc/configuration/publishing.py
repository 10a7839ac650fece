"""Publishing: an immutable version, the tenant's status, and the fact about it, in one transaction.

``publish`` and ``go_live`` take the draft as it stands. ``pause``, and the operators' ``suspend`` and ``resume``, repeat the
last published version with another status: who stops the calls in a hurry must not put half an edit before callers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.snapshot import TenantSnapshot, TenantStatus
from switchboard.contracts.tenants import ConfigurationPublished, Published
from switchboard.errors import Conflict, Forbidden
from switchboard.ids import token

from tenant_svc.configuration import repository as sql
from tenant_svc.store import Store, Write
from tenant_svc.tenants.models import Draft
from tenant_svc.tenants.service import load_draft

Hint = Callable[[UUID], Awaitable[None]]
"""Told of a tenant whose new version has just been committed; must not raise."""


class Publishing:
    def __init__(self, store: Store, hint: Hint) -> None:
        self._store = store
        self._hint = hint

    async def publish(self, tenant_id: UUID, actor: Actor) -> Published:
        """The draft becomes the next version; the status stays. A tenant that is live stays able to take calls."""
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(Published)
            if earlier is not None:
                return earlier
            draft = await load_draft(write.conn)
            if draft.status is TenantStatus.LIVE:
                _refuse_unready(draft)
            published = await self._publish_draft(write, draft, draft.status, "tenant.published")
        await self._hint(tenant_id)
        return published

    async def go_live(self, tenant_id: UUID, actor: Actor) -> Published:
        """The draft becomes the next version, and calls are answered. :class:`Conflict` names what is missing."""
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(Published)
            if earlier is not None:
                return earlier
            draft = await load_draft(write.conn)
            if draft.status is TenantStatus.SUSPENDED:
                raise Forbidden("this account is suspended; only an operator can resume it")
            _refuse_unready(draft)
            published = await self._publish_draft(write, draft, TenantStatus.LIVE, "tenant.went_live")
        await self._hint(tenant_id)
        return published

    async def pause(self, tenant_id: UUID, actor: Actor) -> Published:
        """Callers hear a short notice from now on. Pausing twice changes nothing."""
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(Published)
            if earlier is not None:
                return earlier
            draft = await load_draft(write.conn)
            held = await _published(write)
            if held is None or draft.status in (TenantStatus.DRAFT, TenantStatus.SUSPENDED):
                raise Conflict(f"only a live account can be paused; this one is {draft.status}")
            if draft.status is TenantStatus.PAUSED:
                return await write.attempt.keep(_as_published(held))
            published = await self._repeat(write, held, TenantStatus.PAUSED, "tenant.paused")
        await self._hint(tenant_id)
        return published

    async def suspend(self, tenant_id: UUID, actor: Actor) -> TenantStatus:
        """By an operator, in any state."""
        return await self._by_operator(tenant_id, actor, TenantStatus.SUSPENDED, "tenant.suspended")

    async def resume(self, tenant_id: UUID, actor: Actor) -> TenantStatus:
        """By an operator. The clinic goes live again by itself, when it is ready to."""
        return await self._by_operator(tenant_id, actor, TenantStatus.PAUSED, "tenant.resumed")

    async def _by_operator(self, tenant_id: UUID, actor: Actor, status: TenantStatus, action: str) -> TenantStatus:
        async with self._store.write(tenant_id, actor) as write:
            draft = await load_draft(write.conn)
            held = await _published(write)
            if status is not TenantStatus.SUSPENDED and draft.status is not TenantStatus.SUSPENDED:
                raise Conflict(f"only a suspended account can be resumed; this one is {draft.status}")
            if draft.status is status:
                return status
            if held is None:
                wanted = status if status is TenantStatus.SUSPENDED else TenantStatus.DRAFT
                await write.conn.execute(sql.UPDATE_STATUS, wanted)
                await write.audit(_line(action, tenant_id, None, draft.status, None, wanted))
                return wanted
            await self._repeat(write, held, status, action)
        await self._hint(tenant_id)
        return status

    async def _publish_draft(self, write: Write, draft: Draft, status: TenantStatus, action: str) -> Published:
        snapshot = draft.snapshot((draft.published_version or 0) + 1, status, self._store.clock.now())
        line = _line(action, draft.tenant_id, draft.published_version, draft.status, snapshot.version, status)
        return await self._store_version(write, snapshot, line)

    async def _repeat(self, write: Write, held: TenantSnapshot, status: TenantStatus, action: str) -> Published:
        update = {"version": held.version + 1, "status": status, "published_at": self._store.clock.now()}
        snapshot = held.model_copy(update=update)
        line = _line(action, held.tenant_id, held.version, held.status, snapshot.version, status)
        return await self._store_version(write, snapshot, line)

    async def _store_version(self, write: Write, snapshot: TenantSnapshot, line: Line) -> Published:
        await write.conn.execute(
            sql.INSERT_VERSION,
            snapshot.version,
            snapshot.status,
            snapshot.model_dump(mode="json"),
            snapshot.published_at,
        )
        await write.conn.execute(sql.UPDATE_PUBLISHED, snapshot.status, snapshot.version)
        await write.audit(line)
        await write.tell(
            ConfigurationPublished(tenant_id=snapshot.tenant_id, at=snapshot.published_at, version=snapshot.version)
        )
        return await write.attempt.keep(_as_published(snapshot))


def _line(
    action: str,
    tenant_id: UUID,
    version: int | None,
    status: TenantStatus,
    new_version: int | None,
    new_status: TenantStatus,
) -> Line:
    """What is published is in ``configurations``, by its version, and never changes there."""
    before = {"version": version, "status": status}
    after = {"version": new_version, "status": new_status}
    return Line(action, Resource("tenant", token(tenant_id)), before, after)


async def _published(write: Write) -> TenantSnapshot | None:
    row = await write.conn.fetchrow(sql.SELECT_PUBLISHED)
    return None if row is None else TenantSnapshot.model_validate(row["snapshot"])


def _as_published(snapshot: TenantSnapshot) -> Published:
    return Published(version=snapshot.version, status=snapshot.status, published_at=snapshot.published_at)


def _refuse_unready(draft: Draft) -> None:
    missing = draft.missing()
    if missing:
        raise Conflict(f"before this clinic can take calls it needs {' and '.join(missing)}")
