"""The gateway's settings."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from switchboard.console import ConsoleSettings
from switchboard.settings import (
    BlobSettings,
    Fragment,
    LiveKitSettings,
    NatsSettings,
    RedisSettings,
    SealingSettings,
    ServiceSettings,
)

from api_gateway.access.proxies import ClientHeader


class QuotaSettings(Fragment):
    """So many requests in so many seconds, all at once if need be."""

    quota: int = Field(ge=1, le=10_000_000, description="requests")
    window_s: int = Field(ge=1, le=86_400, description="seconds in which that many are there again")


def _quota(quota: int, window_s: int) -> QuotaSettings:
    return QuotaSettings(quota=quota, window_s=window_s)


class LimitSettings(Fragment):
    """How often who may ask (docs/operations/limits.md). An address is an IPv4 address or an IPv6 /64."""

    address: QuotaSettings = Field(_quota(1200, 60), description="requests with a credential, by address")
    anonymous: QuotaSettings = Field(_quota(120, 60), description="requests without one, by address")
    signup: QuotaSettings = Field(_quota(20, 3600), description="sign-ups by address")
    failures: QuotaSettings = Field(_quota(30, 60), description="credentials that were not accepted, by address")
    key: QuotaSettings = Field(_quota(600, 60), description="requests by API key or session")
    tenant: QuotaSettings = Field(_quota(1200, 60), description="requests by tenant")
    account: QuotaSettings = Field(_quota(10, 900), description="logins by account")
    login: QuotaSettings = Field(_quota(30, 900), description="logins by address")
    local_divisor: int = Field(
        10, ge=1, le=1000, description="without Redis a gateway lets through this part of a quota"
    )
    deadline_ms: int = Field(50, ge=1, le=5000, description="milliseconds that Redis may keep a request waiting")
    prefix: str = Field("rl", pattern=r"^[a-z0-9:_-]{1,40}$", description="what keys in Redis begin with")


def _block(value: str) -> str:
    return str(ipaddress.ip_network(value, strict=True))


class ProxySettings(Fragment):
    """Which proxies stand before the gateway (docs/operations/edge.md)."""

    trusted: tuple[Annotated[str, AfterValidator(_block)], ...] = Field(
        (), description='JSON list of CIDR blocks that the proxies connect from, e.g. ["10.0.0.0/8"]'
    )
    header: ClientHeader = Field("x-forwarded-for", description="where they state the client's address, or x-real-ip")

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        # With everybody trusted the leftmost address counts, which is the client's own to write.
        if self.header == "x-forwarded-for" and any(block.endswith("/0") for block in self.trusted):
            raise ValueError("a block of every address goes with header x-real-ip only; name the proxies' blocks")
        return self


class EdgeSettings(Fragment):
    https: bool = Field(True, description="whether the public comes over HTTPS; false only on one's own machine")


class Settings(ServiceSettings):
    """``livekit`` is the server whose webhooks come here; only its key and secret are used. ``redis`` is `redis-app`."""

    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
    console: ConsoleSettings
    redis: RedisSettings
    limits: LimitSettings = Field(default_factory=lambda: LimitSettings.model_validate({}))
    proxies: ProxySettings = Field(default_factory=lambda: ProxySettings.model_validate({}))
    edge: EdgeSettings = Field(default_factory=lambda: EdgeSettings.model_validate({}))
