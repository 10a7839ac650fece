"""A tenant as it is edited: the draft, from which published versions are made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.contracts.base import Contract
from switchboard.contracts.snapshot import (
    AgentConfiguration,
    Holiday,
    Location,
    NumberBinding,
    TenantSnapshot,
    TenantStatus,
)
from switchboard.contracts.tenants import TenantView


class Draft(Contract):
    """Everything that a snapshot is made of, as it stands now."""

    tenant_id: UUID
    name: str
    status: TenantStatus
    time_zone: str
    language: str
    media_cell: str
    published_version: int | None
    agent: AgentConfiguration
    locations: tuple[Location, ...]
    holidays: tuple[Holiday, ...]
    numbers: tuple[NumberBinding, ...]

    @classmethod
    def of(cls, rows: Mapping[str, Any]) -> Draft:
        return cls.model_validate(rows)

    def view(self) -> TenantView:
        return TenantView.model_validate(self.model_dump())

    def missing(self) -> list[str]:
        """What a clinic needs before it can take calls, in words for the clinic."""
        wanted: list[str] = []
        if not self.numbers:
            wanted.append("a phone number")
        if not self.locations:
            wanted.append("a location with opening hours")
        elif not any(location.hours for location in self.locations):
            wanted.append("opening hours for one of the locations")
        return wanted

    def snapshot(self, version: int, status: TenantStatus, published_at: datetime) -> TenantSnapshot:
        values = self.model_dump(exclude={"language", "published_version"})
        return TenantSnapshot.model_validate(
            {**values, "version": version, "status": status, "published_at": published_at}
        )
