"""Lines that other services tell, and who asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from switchboard.bus import Bus, Call, Delivery
from switchboard.contracts.audit import LIST_AUDIT, AuditList, AuditRecorded
from switchboard.contracts.base import Page
from switchboard.db import Database
from switchboard.inbox import Inbox
from switchboard.rights import Right, allowed

from tenant_svc.audit import repository as sql
from tenant_svc.audit.chains import Chains
from tenant_svc.audit.queries import Lines

CONSUMER = "tenant-svc-audit"


def recorder(db: Database, inbox: Inbox, chains: Chains) -> Callable[[AuditRecorded, Delivery], Awaitable[None]]:
    """Puts a told line into its tenant's chain, once, in the order of arrival; an erased tenant gets none."""

    async def on_recorded(fact: AuditRecorded, delivery: Delivery) -> None:
        async with db.tenant(fact.tenant_id) as conn:
            if not await conn.fetchval(sql.LOCK_TENANT):
                return
            if await inbox.first_time(conn, CONSUMER, delivery.message_id):
                await chains.append_told(conn, delivery.message_id, fact)

    return on_recorded


async def serve_audit(bus: Bus, lines: Lines) -> None:
    async def page(body: Page, call: Call) -> AuditList:
        return await lines.page(allowed(call, Right.AUDIT_READ), body)

    await bus.serve(LIST_AUDIT, page)
