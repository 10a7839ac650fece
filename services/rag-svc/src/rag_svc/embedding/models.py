"""What a tenant has chosen for the embeddings of its documents."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from switchboard.contracts.providers import MAX_EMBEDDINGS_DEADLINE_MS, ProviderChoice
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.embeddings import Embedders

DEADLINE_MS = 800
"""Of a query's embedding, unless the tenant has set another."""


class Snapshots(Protocol):
    """The published snapshots (:class:`switchboard.snapshot.SnapshotBook`)."""

    def get(self, tenant_id: UUID, /) -> TenantSnapshot | None: ...


class Choices:
    """From the published configuration; offline before the first one."""

    def __init__(self, snapshots: Snapshots, embedders: Embedders) -> None:
        self._snapshots = snapshots
        self._embedders = embedders

    def chosen(self, tenant_id: UUID) -> tuple[ProviderChoice | None, str]:
        """What the tenant has chosen, and the space that its documents are to be in."""
        snapshot = self._snapshots.get(tenant_id)
        choice = None if snapshot is None else snapshot.agent.providers.embeddings
        return choice, self._embedders.space(choice)

    def deadline_s(self, tenant_id: UUID, space: str) -> float:
        """For a query in ``space``: the tenant's own when it is the chosen one."""
        choice, chosen = self.chosen(tenant_id)
        own = choice.deadline_ms if choice is not None and space == chosen else None
        return min(own or DEADLINE_MS, MAX_EMBEDDINGS_DEADLINE_MS) / 1000
