"""Public shapes about a tenant. Times of day are local to the tenant, ``HH:MM``."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from switchboard.contracts.providers import ENDPOINT_NAME, MAX_CHAIN, ChosenStage
from switchboard.contracts.snapshot import PLATFORM_TRUNK, Weekday
from switchboard.contracts.tenants import network_address

from api_gateway.schemas import (
    Day,
    Form,
    Language,
    Line,
    LocalTime,
    PhoneNumber,
    Shape,
    Text,
    refuse,
)

_ENDPOINT = re.compile(ENDPOINT_NAME)
_HEX = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Status = Literal["draft", "live", "paused", "suspended"]


def _trunk_in(value: str) -> str:
    if value == PLATFORM_TRUNK or _HEX.fullmatch(value):
        return value
    if _UUID.fullmatch(value):
        return UUID(value).hex
    raise refuse("trunk", "not a trunk", f'send "{PLATFORM_TRUNK}", or the trunk_id of a trunk of yours')


def _trunk_out(value: str) -> str:
    return str(UUID(value)) if _HEX.fullmatch(value) else value


def _endpoint(value: str) -> str:
    if _ENDPOINT.fullmatch(value) is None:
        raise refuse("endpoint", "not a provider's name", "send one that GET /v1/providers lists")
    return value


def _block(value: str) -> str:
    try:
        return network_address(value)
    except ValueError:
        pass
    try:
        everybody = ipaddress.ip_network(value, strict=False).prefixlen == 0
    except ValueError:
        everybody = False
    if everybody:
        raise refuse("address", "a block of every address would let anybody in", "name your SBC's addresses")
    raise refuse("address", "not an IP address or CIDR block", "send one such as 203.0.113.7 or 203.0.113.0/28")


class OpeningForm(Form):
    day: Weekday
    opens: LocalTime
    closes: LocalTime

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise refuse("hours", "closes is not later than opens", "split an opening that passes midnight into two")
        return self


class LocationForm(Form):
    name: Line = Field(min_length=1, max_length=120)
    address: Line = Field(default="", max_length=300)
    hours: tuple[OpeningForm, ...] = Field(default=(), max_length=50)
    notes: Text = Field(default="", max_length=1000)


class HolidayForm(Form):
    """A date on which the usual hours don't hold; closed all day when it has no times."""

    day: Day
    name: Line = Field(min_length=1, max_length=80)
    opens: LocalTime | None = None
    closes: LocalTime | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.opens is None) != (self.closes is None):
            raise refuse("hours", "one of opens and closes is missing", "send both, or neither for closed all day")
        if self.opens is not None and self.closes is not None and self.opens >= self.closes:
            raise refuse("hours", "closes is not later than opens", "send an opening within one day")
        return self


class HolidaysForm(Form):
    """The whole list: what it does not name is no holiday any more."""

    holidays: tuple[HolidayForm, ...] = Field(max_length=100)


class NumberForm(Form):
    """``carrier_account`` is needed where the carrier states one with each call (Twilio: the account SID)."""

    number: PhoneNumber = Field(examples=["+34910000000"])
    trunk: Annotated[str, AfterValidator(_trunk_in)] = PLATFORM_TRUNK
    carrier_account: str | None = Field(default=None, min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9_-]+\z")


class TrunkForm(Form):
    """Your own SBC: its addresses (IP or CIDR, no host names), the numbers it brings, and optionally SIP digest."""

    name: Line = Field(min_length=1, max_length=80)
    # Lists: of a tuple with a wrong member pydantic also says that it is too short.
    allowed_addresses: list[Annotated[str, AfterValidator(_block)]] = Field(min_length=1, max_length=50)
    numbers: list[PhoneNumber] = Field(min_length=1, max_length=200)
    auth_username: Line | None = Field(default=None, min_length=1, max_length=64)
    auth_password: Line | None = Field(default=None, min_length=1, max_length=128, repr=False)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.auth_username is None) != (self.auth_password is None):
            raise refuse("digest", "one of auth_username and auth_password is missing", "send both, or neither")
        return self


class ProviderChoiceForm(Form):
    """One link of a chain: a provider's name (``GET /v1/providers``), and what to ask it for; empty is its default.

    ``deadline_ms`` is how long it may keep a caller waiting before the next link gets the work; ``null`` is the stage's own.
    """

    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(examples=["openai-main"])
    model: Line = Field(default="", max_length=128)
    voice: Line = Field(default="", max_length=128)
    deadline_ms: int | None = Field(default=None, ge=100, le=20_000)


class ProvidersForm(Form):
    """Who hears (stt), thinks (llm) and speaks (tts) in your calls, first choice first, and what finds your documents
    (embeddings). The offline pipeline stands behind every chain; it is all there is in an empty one."""

    stt: list[ProviderChoiceForm] = Field(default_factory=list, max_length=MAX_CHAIN)
    llm: list[ProviderChoiceForm] = Field(default_factory=list, max_length=MAX_CHAIN)
    tts: list[ProviderChoiceForm] = Field(default_factory=list, max_length=MAX_CHAIN)
    embeddings: ProviderChoiceForm | None = None


class AgentForm(Form):
    """How your agent behaves; fields that are left out take their defaults."""

    greeting: Line = Field(default="", max_length=400)
    language: Language = "en"
    voice: Line = Field(default="en-us", min_length=1, max_length=64)
    max_concurrent_calls: int = Field(default=5, ge=1, le=500)
    max_call_seconds: int = Field(default=900, ge=30, le=14_400)
    outside_hours: Literal["talk", "take_message", "refuse"] = "talk"
    forward_to: PhoneNumber | None = None
    providers: ProvidersForm = ProvidersForm()


class OpeningShape(Shape):
    day: Weekday
    opens: LocalTime
    closes: LocalTime


class LocationShape(Shape):
    location_id: UUID = Field(validation_alias="id")
    name: str
    address: str
    hours: tuple[OpeningShape, ...]
    notes: str


class HolidayShape(Shape):
    day: Day
    name: str
    opens: LocalTime | None
    closes: LocalTime | None


class HolidaysShape(Shape):
    holidays: tuple[HolidayShape, ...]


class NumberShape(Shape):
    number: str
    trunk: Annotated[str, AfterValidator(_trunk_out)]
    carrier_account: str | None


class ProviderChoiceShape(Shape):
    endpoint: str
    model: str
    voice: str
    deadline_ms: int | None


class ProvidersShape(Shape):
    stt: tuple[ProviderChoiceShape, ...]
    llm: tuple[ProviderChoiceShape, ...]
    tts: tuple[ProviderChoiceShape, ...]
    embeddings: ProviderChoiceShape | None


class AgentShape(Shape):
    greeting: str
    language: str
    voice: str
    max_concurrent_calls: int
    max_call_seconds: int
    outside_hours: Literal["talk", "take_message", "refuse"]
    forward_to: str | None
    providers: ProvidersShape


class TenantShape(Shape):
    """``published_version`` is what calls are answered from; changes wait for the next publish."""

    tenant_id: UUID
    name: str
    status: Status
    time_zone: str
    language: str
    published_version: int | None
    locations: tuple[LocationShape, ...]
    holidays: tuple[HolidayShape, ...]
    numbers: tuple[NumberShape, ...]
    agent: AgentShape


class TrunkShape(Shape):
    """``media_cell`` names the media servers that take its calls. Credentials are never shown."""

    trunk_id: UUID
    name: str
    allowed_addresses: tuple[str, ...]
    numbers: tuple[str, ...]
    media_cell: str


class TrunksShape(Shape):
    trunks: tuple[TrunkShape, ...]


class PublishedShape(Shape):
    version: int
    status: Status
    published_at: AwareDatetime


class OfferedProviderShape(Shape):
    """A provider that can be chosen for ``stages``; values of ``kind`` may grow. ``offline`` needs no choosing."""

    endpoint: str
    kind: str
    stages: tuple[ChosenStage, ...]


class OfferedProvidersShape(Shape):
    providers: tuple[OfferedProviderShape, ...]
