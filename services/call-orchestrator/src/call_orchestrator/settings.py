"""Settings of the orchestrator, from the environment."""

from __future__ import annotations

from pydantic import Field, SecretStr
from switchboard.settings import (
    BlobSettings,
    DatabaseSettings,
    Fragment,
    LiveKitSettings,
    NatsSettings,
    SealingSettings,
    ServiceSettings,
)


class OperatorsSettings(Fragment):
    """The operators' own pages, which no tenant sees."""

    token: SecretStr = Field(min_length=16, description="bearer token of the operators' routes, 16 characters at least")


class CallsSettings(Fragment):
    """Times of a call's life, in seconds."""

    lease_s: float = Field(15.0, gt=0, le=300, description="seconds a job may stay silent before it counts as lost")
    database_patience_s: float = Field(1.0, gt=0, le=2, description="seconds admission waits for the database")
    join_within_s: float = Field(3.0, gt=0, le=30, description="seconds an agent has to join a room")
    dispatch_attempts: int = Field(3, ge=0, le=10, description="times a room without an agent is offered again")
    hangup_grace_s: float = Field(4.0, gt=0, le=60, description="seconds a job has to say why a call ended")
    sweep_every_s: float = Field(5.0, gt=0, le=60, description="seconds between comparisons with LiveKit")
    pulse_every_s: float = Field(2.0, gt=0, le=60, description="seconds between questions to the jobs of live calls")
    agent_name: str = Field("receptionist", min_length=1, description="name the voice agents register under")


class Settings(ServiceSettings):
    database: DatabaseSettings
    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
    operators: OperatorsSettings
    calls: CallsSettings = Field(default_factory=lambda: CallsSettings.model_validate({}))
