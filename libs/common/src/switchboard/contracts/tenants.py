"""Tenants: locations, numbers, trunks, configuration, going live."""

from __future__ import annotations

import ipaddress
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, field_validator

from switchboard.contracts.base import ConfigFact, Contract, Empty, Rpc, Service, services
from switchboard.contracts.providers import ChosenStage, ProviderKind
from switchboard.contracts.snapshot import (
    PLATFORM_TRUNK,
    AgentConfiguration,
    Holiday,
    Location,
    NumberBinding,
    Opening,
    TenantStatus,
)
from switchboard.sealed import Sealed

_GATEWAY = services(Service.API_GATEWAY)
_TENANT_SVC = Service.TENANT_SVC


class TenantView(Contract):
    tenant_id: UUID
    name: str
    status: TenantStatus
    time_zone: str
    language: str
    published_version: int | None
    locations: tuple[Location, ...]
    holidays: tuple[Holiday, ...]
    numbers: tuple[NumberBinding, ...]
    agent: AgentConfiguration


class NewLocation(Contract):
    """``location_id``, as the other new things' ids: the one it is to have, so that the request can be made again."""

    location_id: UUID | None = None
    name: str = Field(min_length=1, max_length=120)
    address: str = Field(default="", max_length=300)
    hours: tuple[Opening, ...] = ()
    notes: str = Field(default="", max_length=1000)


class SetHolidays(Contract):
    holidays: tuple[Holiday, ...] = Field(max_length=100)


class NewNumber(Contract):
    """Binds a dialled number to this tenant on one trunk and, where the carrier states one, one carrier account."""

    number_id: UUID | None = None
    number: str = Field(pattern=r"^\+[1-9]\d{6,14}$")
    trunk: str = PLATFORM_TRUNK
    carrier_account: str | None = Field(default=None, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")


class _Trunk(Contract):
    trunk_id: UUID | None = None
    name: str = Field(min_length=1, max_length=80)
    allowed_addresses: tuple[str, ...] = Field(min_length=1, max_length=50)
    numbers: tuple[str, ...] = Field(min_length=1, max_length=200)
    auth_username: str | None = Field(default=None, max_length=64)

    @field_validator("allowed_addresses")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(network_address(value) for value in values)


class NewTrunk(_Trunk):
    """What gateways of before send to :data:`ADD_TRUNK`: :class:`ConnectTrunk` with the password in clear."""

    auth_password: str | None = Field(default=None, max_length=128, repr=False)


class ConnectTrunk(_Trunk):
    """A customer's own SBC. Addresses only (IP or CIDR): a host name would be compared with what the caller writes."""

    auth_password: Sealed | None = None


def network_address(value: str) -> str:
    """``value`` as a CIDR block in its normal form; host names, host bits and "everybody" are refused."""
    try:
        network = ipaddress.ip_network(value, strict=True)
    except ValueError:
        raise ValueError("expected an IP address or CIDR block such as 203.0.113.0/28") from None
    if network.prefixlen == 0:
        raise ValueError("a block of every address would let anybody in; name the carrier's blocks")
    return str(network)


class TrunkView(Contract):
    trunk_id: UUID
    name: str
    allowed_addresses: tuple[str, ...]
    numbers: tuple[str, ...]
    media_cell: str


class TrunkList(Contract):
    trunks: tuple[TrunkView, ...]


class Published(Contract):
    version: int
    status: TenantStatus
    published_at: AwareDatetime


class ProviderView(Contract):
    """An endpoint that a tenant may choose, for these stages; ``offline`` is our own pipeline."""

    endpoint: str
    kind: ProviderKind | Literal["offline"]
    stages: tuple[ChosenStage, ...]


class ProviderList(Contract):
    providers: tuple[ProviderView, ...]


GET_TENANT = Rpc("tenants", "get", Empty, TenantView, _TENANT_SVC, _GATEWAY)
ADD_LOCATION = Rpc("tenants", "add_location", NewLocation, Location, _TENANT_SVC, _GATEWAY, deadline=5.0)
SET_HOLIDAYS = Rpc("tenants", "set_holidays", SetHolidays, TenantView, _TENANT_SVC, _GATEWAY, deadline=5.0)
ADD_NUMBER = Rpc("tenants", "add_number", NewNumber, NumberBinding, _TENANT_SVC, _GATEWAY, deadline=5.0)
ADD_TRUNK = Rpc("tenants", "add_trunk", NewTrunk, TrunkView, _TENANT_SVC, _GATEWAY, deadline=5.0)
CONNECT_TRUNK = Rpc("tenants", "connect_trunk", ConnectTrunk, TrunkView, _TENANT_SVC, _GATEWAY, deadline=5.0)
LIST_TRUNKS = Rpc("tenants", "trunks", Empty, TrunkList, _TENANT_SVC, _GATEWAY)
SET_AGENT = Rpc("tenants", "set_agent", AgentConfiguration, TenantView, _TENANT_SVC, _GATEWAY, deadline=5.0)
LIST_PROVIDERS = Rpc("tenants", "providers", Empty, ProviderList, _TENANT_SVC, _GATEWAY)
PUBLISH = Rpc("tenants", "publish", Empty, Published, _TENANT_SVC, _GATEWAY, deadline=5.0)
GO_LIVE = Rpc("tenants", "go_live", Empty, Published, _TENANT_SVC, _GATEWAY, deadline=5.0)
PAUSE = Rpc("tenants", "pause", Empty, Published, _TENANT_SVC, _GATEWAY, deadline=5.0)


class TenantCreated(ConfigFact):
    fact: ClassVar[str] = "created"
    publishers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)
    consumers: ClassVar[frozenset[Service]] = frozenset()


class ConfigurationPublished(ConfigFact):
    """A new version is in the database. tenant-svc itself projects it into the KV bucket on this fact; rag-svc looks
    whether the tenant's documents are embedded as it says."""

    fact: ClassVar[str] = "published"
    publishers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)
    consumers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC, Service.RAG_SVC)

    version: int = Field(ge=1)


class TrunksChanged(ConfigFact):
    """LiveKit's trunks or rules no longer match the database: a hint for the reconciler."""

    fact: ClassVar[str] = "trunks"
    publishers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)
    consumers: ClassVar[frozenset[Service]] = services(Service.TENANT_SVC)
