"""The gateway's settings."""

from __future__ import annotations

from switchboard.settings import BlobSettings, LiveKitSettings, NatsSettings, SealingSettings, ServiceSettings


class Settings(ServiceSettings):
    """``livekit`` is the server whose webhooks come here; only its key and secret are used."""

    nats: NatsSettings
    sealing: SealingSettings
    livekit: LiveKitSettings
    blobs: BlobSettings
