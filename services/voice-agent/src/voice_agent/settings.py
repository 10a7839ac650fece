"""What the voice agent reads from its environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from switchboard.settings import (
    BlobSettings,
    Fragment,
    LiveKitSettings,
    NatsSettings,
    ProviderSettings,
    SealingSettings,
    ServiceSettings,
)


class WorkerSettings(Fragment):
    """The livekit-agents worker of this process."""

    agent_name: str = Field("receptionist", min_length=1, description="the name that dispatch rules ask for")
    max_calls: int = Field(5, ge=1, le=200, description="calls this worker takes at once")
    idle_processes: int = Field(2, ge=0, le=50, description="warm processes waiting for a call")
    drain_timeout_s: int = Field(960, ge=1, description="seconds that calls may go on after SIGTERM")


class SpeechSettings(Fragment):
    """The offline ear and voice."""

    acoustic_model: Path = Field(description="folder made by `python -m voice_agent.offline.adapt --out <folder>`")
    model_cache: Path = Field(description="folder for tenants' language models; may be emptied at any time")


class Settings(ServiceSettings):
    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
    worker: WorkerSettings = Field(default_factory=lambda: WorkerSettings.model_validate({}))
    speech: SpeechSettings
    providers: ProviderSettings = Field(default_factory=lambda: ProviderSettings.model_validate({}))
