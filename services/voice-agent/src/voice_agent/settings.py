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
    state: Path = Field(description="this worker's own folder: facts that wait for the bus, and a socket for its calls")
    spool_mb: int = Field(64, ge=1, description="megabytes of facts that may wait for the bus")

    @property
    def spool(self) -> Path:
        """Where facts wait."""
        return self.state / "spool"

    @property
    def standby(self) -> Path:
        """The socket on which the worker decides for its calls when the bus is away."""
        return self.state / "standby.sock"

    @property
    def stages(self) -> Path:
        """The socket on which the worker hears how long the stages of its calls' turns took."""
        return self.state / "stages.sock"


class SpeechSettings(Fragment):
    """The offline ear and voice."""

    model_cache: Path = Field(description="folder for tenants' language models; may be emptied at any time")


class Settings(ServiceSettings):
    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
    worker: WorkerSettings
    speech: SpeechSettings
    providers: ProviderSettings = Field(default_factory=lambda: ProviderSettings.model_validate({}))
