"""A tenant's published configuration: what every call is decided and answered from, one KV entry per tenant."""

from __future__ import annotations

import enum
from datetime import date, time
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, Field, field_validator, model_validator

from switchboard.contracts.base import Contract
from switchboard.contracts.providers import ProviderChains

PLATFORM_TRUNK = "platform"
"""Our own trunk, shared by the carriers we take calls from; a customer's trunk is named by its id (32 hex)."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class TenantStatus(enum.StrEnum):
    DRAFT = "draft"
    LIVE = "live"
    PAUSED = "paused"
    SUSPENDED = "suspended"


class Opening(Contract):
    """One opening on one weekday, local time of the tenant; a day without one is closed."""

    day: Weekday
    opens: time
    closes: time

    @field_validator("opens", "closes")
    @classmethod
    def _wall_clock(cls, value: time) -> time:
        return wall_clock(value)

    @model_validator(mode="after")
    def _in_order(self) -> Opening:
        if self.opens >= self.closes:
            raise ValueError("closes must be later than opens; split an opening that passes midnight into two")
        return self


class Holiday(Contract):
    """A date on which the usual hours don't hold; closed all day when it has no openings."""

    day: date
    name: str = Field(min_length=1, max_length=80)
    opens: time | None = None
    closes: time | None = None

    @field_validator("opens", "closes")
    @classmethod
    def _wall_clock(cls, value: time | None) -> time | None:
        return None if value is None else wall_clock(value)


class Location(Contract):
    id: UUID
    name: str = Field(min_length=1, max_length=120)
    address: str = Field(default="", max_length=300)
    hours: tuple[Opening, ...] = ()
    notes: str = Field(default="", max_length=1000)


class NumberBinding(Contract):
    """A dialled number is ours only on its trunk and, where the carrier states one, its carrier account."""

    number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    trunk: str = PLATFORM_TRUNK
    carrier_account: str | None = None


class AgentConfiguration(Contract):
    """How the tenant's agent behaves."""

    greeting: str = Field(default="", max_length=400)
    language: str = "en"
    voice: str = "en-us"
    max_concurrent_calls: int = Field(default=5, ge=1, le=500)
    max_call_seconds: int = Field(default=900, ge=30, le=14_400)
    outside_hours: Literal["talk", "take_message", "refuse"] = "talk"
    forward_to: str | None = Field(default=None, pattern=r"^\+[1-9]\d{6,14}$")
    providers: ProviderChains = ProviderChains()


class TenantSnapshot(Contract):
    """Everything that a call needs to know of a tenant. ``version`` only rises."""

    tenant_id: UUID
    version: int = Field(ge=1)
    published_at: AwareDatetime
    status: TenantStatus
    name: str = Field(min_length=1, max_length=120)
    time_zone: str
    locations: tuple[Location, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    numbers: tuple[NumberBinding, ...] = ()
    agent: AgentConfiguration = AgentConfiguration()
    media_cell: str = "default"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_time_zone(value)


def wall_clock(value: time) -> time:
    """``value`` when it is a time of the tenant's own clock; ``ValueError`` when it carries an offset."""
    if value.tzinfo is not None:
        raise ValueError("give the time by the clinic's own clock, without an offset, such as 09:30")
    return value


def known_time_zone(value: str) -> str:
    """``value`` when it is an IANA time zone; ``ValueError`` otherwise."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected an IANA time zone such as Europe/Madrid") from None
    return value
