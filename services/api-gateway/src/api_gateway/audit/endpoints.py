"""What was done to a tenant, and by whom."""

from __future__ import annotations

from fastapi import APIRouter
from switchboard.contracts.audit import LIST_AUDIT

from api_gateway.access.caller import Authenticated
from api_gateway.audit.schemas import AuditShape
from api_gateway.paging import PageWanted

router = APIRouter(prefix="/v1")


@router.get("/audit", tags=["tenant"])
async def list_audit(page: PageWanted, caller: Authenticated) -> AuditShape:
    """Who changed what, from where, newest first. For owners and admins."""
    found = await caller.ask(LIST_AUDIT, page.of(caller))
    return AuditShape.of_list(found, page.following(caller, found.next_cursor))
