"""What this service erases when a tenant leaves."""

from __future__ import annotations

from switchboard.blobs import Blobs
from switchboard.erasers import Eraser

from rag_svc.documents.service import Documents

STORES: tuple[str, ...] = ("postgres.knowledge", "blobs")


def erasers(documents: Documents, blobs: Blobs) -> tuple[Eraser, ...]:
    """One per name in :data:`STORES`."""
    return (Eraser("postgres.knowledge", documents.erase_tenant), Eraser("blobs", blobs.delete_tenant))
