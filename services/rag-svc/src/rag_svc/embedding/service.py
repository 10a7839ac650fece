"""Keeps every document's vectors in the space that its tenant has chosen: at a publication, and again and again after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.db import DATABASE_ERRORS
from switchboard.embeddings import Embedders, EmbeddingFailed
from switchboard.errors import SwitchboardError
from switchboard.telemetry import bound

from rag_svc.embedding.models import Choices

_log = structlog.get_logger(__name__)

TRY_AGAIN_AFTER = timedelta(hours=1)
"""A document that its provider would not embed is served from our own vectors, and offered again after this long."""

PROBE = "ready"
PROBE_DEADLINE_S = 5.0


class Misplaced(Protocol):
    """The part of :class:`rag_svc.documents.service.Documents` that is used here."""

    async def misplaced(self, tenant_id: UUID, before: datetime) -> Sequence[UUID]: ...

    async def embed_again(self, tenant_id: UUID, document_id: UUID, before: datetime) -> bool: ...


class Reembedding:
    """``tenants``: everybody who has published."""

    def __init__(
        self,
        documents: Misplaced,
        choices: Choices,
        embedders: Embedders,
        tenants: Callable[[], Sequence[UUID]],
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._choices = choices
        self._embedders = embedders
        self._tenants = tenants
        self._clock = clock

    async def align(self, tenant_id: UUID, before: datetime | None = None) -> int:
        """Have every document ingested again that is in another space than the tenant's; how many there were.

        Each becomes a new revision, so searches see the old vectors until all of the new ones are there. Doing it again
        changes nothing: what has been asked for is not misplaced. ``before``: leave alone what its provider would not
        embed later than this (default: leave nothing alone).
        """
        latest = before or self._clock.now()
        count = 0
        for document_id in await self._documents.misplaced(tenant_id, latest):
            count += await self._documents.embed_again(tenant_id, document_id, latest)
        if count:
            _log.info("documents are embedded again", documents=count)
        return count

    async def sweep(self) -> None:
        """One look at every tenant: for a publication that was missed, and for providers that have come back."""
        before = self._clock.now() - TRY_AGAIN_AFTER
        well: dict[str, bool] = {self._embedders.offline: True}
        for tenant_id in self._tenants():
            _, space = self._choices.chosen(tenant_id)
            with bound(tenant_id=tenant_id):
                try:
                    if not await self._documents.misplaced(tenant_id, before):
                        continue
                    if space not in well:
                        well[space] = await self._answers(space)
                    if well[space]:
                        await self.align(tenant_id, before)
                except (SwitchboardError, *DATABASE_ERRORS) as error:
                    _log.warning("a tenant's documents could not be looked at", error=type(error).__name__)

    async def run(self, every_s: float) -> None:
        """A sweep every ``every_s`` seconds, until cancelled; the first one after that time."""
        while True:
            await asyncio.sleep(every_s)
            await self.sweep()

    async def _answers(self, space: str) -> bool:
        """Whether it is worth while to have documents read again for this provider."""
        try:
            await self._embedders.embed(space, [PROBE], PROBE_DEADLINE_S)
        except EmbeddingFailed as failure:
            _log.info("a provider of embeddings is still away", endpoint=failure.endpoint, fault=failure.fault)
            return False
        return True
