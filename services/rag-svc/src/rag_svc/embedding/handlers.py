"""The bus's side of re-embedding."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog
from switchboard.bus import Delivery
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.contracts.tenants import ConfigurationPublished
from switchboard.errors import Unavailable

from rag_svc.embedding.service import Reembedding

_log = structlog.get_logger(__name__)

WAIT_S = 5.0
PATIENT_TRIES = 3

AtLeast = Callable[[UUID, int, float], Awaitable[TenantSnapshot | None]]
"""Tenant, version, seconds -> the snapshot once it has that version."""


class ConfigurationHandlers:
    def __init__(self, reembedding: Reembedding, at_least: AtLeast) -> None:
        self._reembedding = reembedding
        self._at_least = at_least

    async def published(self, fact: ConfigurationPublished, delivery: Delivery) -> None:
        """What was published is looked up in the bucket, where it may come a moment later than this fact.

        No inbox: a second delivery finds nothing that is misplaced any more. A tenant that has left has no snapshot, so
        waiting ends; what a lost bucket hides is found by the sweep.
        """
        if await self._at_least(fact.tenant_id, fact.version, WAIT_S) is None:
            if delivery.attempt < PATIENT_TRIES:
                raise Unavailable("the snapshot of this version is not there yet")
            _log.warning("a published version never came", version=fact.version)
            return
        await self._reembedding.align(fact.tenant_id)
