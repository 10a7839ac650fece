"""What this process needs to know, from the environment."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from switchboard.console import ConsoleSettings
from switchboard.contracts.tenants import network_address
from switchboard.settings import (
    BlobSettings,
    DatabaseSettings,
    EnvironmentSettings,
    Fragment,
    LiveKitSettings,
    NatsSettings,
    ProviderKinds,
    SealingSettings,
    ServiceSettings,
    TelemetrySettings,
)

from tenant_svc.adapters.smtp import SmtpSettings
from tenant_svc.validation import Network


class PlatformSettings(Fragment):
    """The platform's own trunk."""

    carrier_addresses: tuple[Annotated[str, AfterValidator(network_address)], ...] = Field(
        min_length=1,
        description='JSON list of the carriers\' signalling addresses, IP or CIDR, e.g. ["54.172.60.0/30"]; on one '
        'machine ["127.0.0.1/32"]',
    )

    @property
    def carriers(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(address) for address in self.carrier_addresses)


class ReconcilerSettings(Fragment):
    """What every trunk and rule in LiveKit is given."""

    cell: str = Field("default", pattern=r"^[a-z][a-z0-9-]{0,31}$", description="media cell of SWITCHBOARD_LIVEKIT__*")
    every_s: float = Field(5.0, ge=0.05, le=300, description="seconds between two looks at LiveKit")
    agent_name: str = Field("receptionist", min_length=1, description="name under which the voice agents register")
    room_prefix: str = Field("call", pattern=r"^[a-z]{1,16}$", description="what the rooms' names begin with")
    ringing_timeout_s: int = Field(25, ge=5, le=120, description="seconds a caller hears ringing before 486")
    max_call_s: int = Field(14_400, ge=60, le=86_400, description="seconds after which LiveKit cuts a call")


class ProjectionSettings(Fragment):
    """The buckets of the bus."""

    sweep_s: float = Field(60.0, ge=0.05, le=3600, description="seconds between two looks for what the buckets lack")


class OperatorsSettings(Fragment):
    """The operators' HTTP routes."""

    token: SecretStr = Field(min_length=24, description="bearer token of the operators' routes, 24 characters at least")


def _reconciler() -> ReconcilerSettings:
    return ReconcilerSettings.model_validate({})


def _projection() -> ProjectionSettings:
    return ProjectionSettings.model_validate({})


class Settings(ServiceSettings):
    """Everything of ``python -m tenant_svc``."""

    database: DatabaseSettings
    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
    platform: PlatformSettings
    operators: OperatorsSettings
    console: ConsoleSettings
    mail: SmtpSettings
    providers: ProviderKinds = ProviderKinds()
    reconciler: ReconcilerSettings = Field(default_factory=_reconciler)
    projection: ProjectionSettings = Field(default_factory=_projection)
    cells: dict[str, LiveKitSettings] = Field(
        default_factory=dict,
        description='JSON object of further media cells, e.g. {"frankfurt": {"url": ..., "api_key": ..., "api_secret": ...}}',
    )


class CommandSettings(EnvironmentSettings):
    """Everything of ``python -m tenant_svc.audit`` and ``python -m tenant_svc.rotate``."""

    database: DatabaseSettings
    nats: NatsSettings
    sealing: SealingSettings
    telemetry: TelemetrySettings = Field(default_factory=lambda: TelemetrySettings.model_validate({}))


class RebuildSettings(CommandSettings):
    """Everything of ``python -m tenant_svc.rebuild``."""

    blobs: BlobSettings
