"""Publishing: an immutable version, the tenant's status, and the fact about it, in one transaction.

``publish`` and ``go_live`` take the draft as it stands. ``pause``, and the operators' ``suspend`` and ``resume``, repeat the
last published version with another status: who stops the calls in a hurry must not put half an edit before callers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from switchboard.contracts.base import Actor
from switchboard.contracts.snapshot import TenantSnapshot, TenantStatus
from switchboard.contracts.tenants import ConfigurationPublished, Published
from switchboard.errors import Conflict, Forbidden

from tenant_svc.audit.repository import Action
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
            draft = await load_draft(write.conn)
            if draft.status is TenantStatus.LIVE:
                _refuse_unready(draft)
            published = await self._publish_draft(write, draft, draft.status, "tenant.published")
        await self._hint(tenant_id)
        return published

    async def go_live(self, tenant_id: UUID, actor: Actor) -> Published:
        """The draft becomes the next version, and calls are answered. :class:`Conflict` names what is missing."""
        async with self._store.write(tenant_id, actor) as write:
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
            draft = await load_draft(write.conn)
            held = await _published(write)
            if held is None or draft.status in (TenantStatus.DRAFT, TenantStatus.SUSPENDED):
                raise Conflict(f"only a live account can be paused; this one is {draft.status}")
            if draft.status is TenantStatus.PAUSED:
                return _as_published(held)
            published = await self._repeat(write, held, TenantStatus.PAUSED, "tenant.paused")
        await self._hint(tenant_id)
        return published

    async def suspend(self, tenant_id: UUID, actor: Actor) -> TenantStatus:
        """By an operator, in any state."""
        return await self._by_operator(tenant_id, actor, TenantStatus.SUSPENDED, "tenant.suspended")

    async def resume(self, tenant_id: UUID, actor: Actor) -> TenantStatus:
        """By an operator. The clinic goes live again by itself, when it is ready to."""
        return await self._by_operator(tenant_id, actor, TenantStatus.PAUSED, "tenant.resumed")

    async def _by_operator(self, tenant_id: UUID, actor: Actor, status: TenantStatus, action: Action) -> TenantStatus:
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
                await write.audit(action, "")
                return wanted
            await self._repeat(write, held, status, action)
        await self._hint(tenant_id)
        return status

    async def _publish_draft(self, write: Write, draft: Draft, status: TenantStatus, action: Action) -> Published:
        version = (draft.published_version or 0) + 1
        return await self._store_version(write, draft.snapshot(version, status, self._store.clock.now()), action)

    async def _repeat(self, write: Write, held: TenantSnapshot, status: TenantStatus, action: Action) -> Published:
        update = {"version": held.version + 1, "status": status, "published_at": self._store.clock.now()}
        return await self._store_version(write, held.model_copy(update=update), action)

    async def _store_version(self, write: Write, snapshot: TenantSnapshot, action: Action) -> Published:
        await write.conn.execute(
            sql.INSERT_VERSION,
            snapshot.version,
            snapshot.status,
            snapshot.model_dump(mode="json"),
            snapshot.published_at,
        )
        await write.conn.execute(sql.UPDATE_PUBLISHED, snapshot.status, snapshot.version)
        await write.audit(action, str(snapshot.version))
        await write.tell(
            ConfigurationPublished(tenant_id=snapshot.tenant_id, at=snapshot.published_at, version=snapshot.version)
        )
        return _as_published(snapshot)


async def _published(write: Write) -> TenantSnapshot | None:
    row = await write.conn.fetchrow(sql.SELECT_PUBLISHED)
    return None if row is None else TenantSnapshot.model_validate(row["snapshot"])


def _as_published(snapshot: TenantSnapshot) -> Published:
    return Published(version=snapshot.version, status=snapshot.status, published_at=snapshot.published_at)


def _refuse_unready(draft: Draft) -> None:
    missing = draft.missing()
    if missing:
        raise Conflict(f"before this clinic can take calls it needs {' and '.join(missing)}")
