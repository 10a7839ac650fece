"""Streams, consumers and buckets: data made from the catalogue, applied by one step (``python -m switchboard.bus.topology``).

Services never declare anything, so there is no race about whose idea of a stream wins. A durable's filter and policy are
updated in place; a difference that the server can't change in place fails the step and names it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, NotFoundError

from switchboard.bus.connection import connect
from switchboard.contracts.base import Domain, Service
from switchboard.contracts.catalogue import FACTS
from switchboard.settings import EnvironmentSettings, NatsSettings, load_or_exit

_log = structlog.get_logger(__name__)

DEAD_LETTERS = "DEAD"
DEAD_SUBJECTS = "dead.>"
SNAPSHOTS = "snapshots"
TENANT_KEYS = "tenant-keys"
AUDIT_HEADS = "audit-heads"
ACK_WAIT_SECONDS = 10.0
"""How long what a killed process had in hand stays away; a living one says every third of it that it is at work."""
_DAY = 86_400.0

STREAM_OF: dict[Domain, str] = {"calls": "CALLS", "documents": "DOCUMENTS", "config": "CONFIG"}
BUCKETS: tuple[str, ...] = (SNAPSHOTS, TENANT_KEYS, AUDIT_HEADS)


@dataclass(frozen=True, slots=True)
class Consumer:
    """One durable pull consumer: all that one service consumes of one stream, shared by its replicas."""

    stream: str
    durable: str
    filters: tuple[str, ...]


def streams() -> list[StreamConfig]:
    """Facts are kept for a week (the outboxes can refill what is lost), dead letters for thirty days."""
    declared = [
        StreamConfig(
            name=name,
            subjects=[f"tenants.*.{domain}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_age=7 * _DAY,
            max_bytes=1024**3,
            duplicate_window=600.0,
        )
        for domain, name in STREAM_OF.items()
    ]
    dead = StreamConfig(
        name=DEAD_LETTERS,
        subjects=[DEAD_SUBJECTS],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=30 * _DAY,
        max_bytes=1024**3,
        duplicate_window=600.0,
    )
    return [*declared, dead]


def durable(service: Service, domain: Domain) -> str:
    return f"{service.value}-{domain}"


def consumers() -> list[Consumer]:
    """One per service and stream it consumes from, in a fixed order."""
    filters: dict[tuple[str, str], set[str]] = {}  # two versions of a fact have one subject
    for fact in FACTS:
        entity = ".*" if fact.domain != "config" else ""
        subject = f"tenants.*.{fact.domain}{entity}.{fact.fact}"
        for service in fact.consumers:
            filters.setdefault((STREAM_OF[fact.domain], durable(service, fact.domain)), set()).add(subject)
    return [Consumer(stream, name, tuple(sorted(found))) for (stream, name), found in sorted(filters.items())]


def _config(consumer: Consumer) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=consumer.durable,
        filter_subjects=list(consumer.filters),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_SECONDS,
        deliver_policy=DeliverPolicy.ALL,
        # Our delivery layer counts and dead-letters; the server never gives up on its own, where it would do so silently.
        max_deliver=-1,
        max_ack_pending=256,
    )


async def apply(client: Client) -> None:
    """Add or update everything declared here. Idempotent."""
    js = client.jetstream()
    for stream in streams():
        await _apply_stream(js, stream)
    for consumer in consumers():
        # add_consumer on an existing durable updates what can be updated, and raises on what can't.
        await js.add_consumer(consumer.stream, _config(consumer))
    for bucket in BUCKETS:
        try:
            await js.key_value(bucket)
        except NotFoundError:
            await js.create_key_value(KeyValueConfig(bucket=bucket, history=1, storage=StorageType.FILE))


async def _apply_stream(js: JetStreamContext, stream: StreamConfig) -> None:
    try:
        await js.add_stream(stream)
    except BadRequestError as error:
        if error.err_code != 10058:  # "stream name already in use with a different configuration"
            raise
        await js.update_stream(stream)


class Settings(EnvironmentSettings):
    nats: NatsSettings


async def main() -> None:
    settings = load_or_exit(Settings)
    client = await connect(settings.nats, name="topology", inbox="_INBOX_topology")
    try:
        await apply(client)
        _log.info("topology applied", streams=len(streams()), consumers=len(consumers()), buckets=len(BUCKETS))
    finally:
        await client.drain()


if __name__ == "__main__":
    asyncio.run(main())
