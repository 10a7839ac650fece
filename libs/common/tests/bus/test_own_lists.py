"""Every service, every kind of subject: the server lets through what the catalogue gives that service, and nothing else.

What is expected is written down here from the contracts themselves, not taken from :mod:`switchboard.bus.permissions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import nats
import pytest
from fleet.bus_fixtures import BusServer
from fleet.prove import Tried
from nats.aio.client import Client
from switchboard.bus.connection import flush
from switchboard.contracts.base import Service
from switchboard.contracts.catalogue import COMMANDS, FACTS, LIVES, RPCS

pytestmark = pytest.mark.integration

T, X = "0" * 31 + "1", "0" * 31 + "2"
TENANT_SVC = frozenset({Service.TENANT_SVC})
AGENT = frozenset({Service.VOICE_AGENT})
GATEWAY = frozenset({Service.API_GATEWAY})
NOBODY: frozenset[Service] = frozenset()
STREAMS = ("CALLS", "DOCUMENTS", "CONFIG", "DEAD", "KV_snapshots", "KV_tenant-keys")
STREAM_OF = {"calls": "CALLS", "documents": "DOCUMENTS", "config": "CONFIG"}
EVERYTHING = (">", "tenants.>", "dead.>", "rpc.>", "calls.>", "$JS.>", "$KV.>", "_INBOX.>", "$SYS.>")

Expected = dict[str, frozenset[Service]]


def publishing() -> Expected:
    """Concrete subject -> who may publish there."""
    found: Expected = {}
    for fact in FACTS:
        entity = "" if fact.domain == "config" else f"{X}."
        found[f"tenants.{T}.{fact.domain}.{entity}{fact.fact}"] = fact.publishers
    for domain in STREAM_OF:
        found[f"tenants.{T}.{domain}.{X}.never"] = NOBODY
    for rpc in RPCS:
        found[f"rpc.{rpc.service}.{rpc.method}.{T}"] = rpc.clients
        found[f"rpc.{rpc.service}.never.{T}"] = NOBODY
    for command in COMMANDS:
        found[f"calls.{T}.{X}.cmd.{command.name}"] = command.clients
    found[f"calls.{T}.{X}.cmd.never"] = NOBODY
    for live in LIVES:
        found[f"live.{T}.{X}.{live.kind}"] = AGENT
    for bucket in ("snapshots", "tenant-keys"):
        found[f"$KV.{bucket}.{T}"] = TENANT_SVC
    for service in Service:
        for domain, stream in STREAM_OF.items():
            consumes = any(service in fact.consumers for fact in FACTS if fact.domain == domain)
            owner = frozenset({service}) if consumes else NOBODY
            name = f"{service.value}-{domain}"
            found[f"dead.{T}.{name}"] = owner
            found[f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"] = owner
            found[f"$JS.ACK.{stream}.{name}.1.1.1.1.0"] = owner
            found[f"$JS.API.CONSUMER.DELETE.{stream}.{name}"] = NOBODY
        # A reply goes only to who asked, once.
        found[f"_INBOX_{service.value}.x"] = NOBODY
    for stream in STREAMS:
        for verb in ("CREATE", "UPDATE", "DELETE", "PURGE"):
            found[f"$JS.API.STREAM.{verb}.{stream}"] = NOBODY
    for stream in ("CALLS", "DOCUMENTS", "CONFIG"):
        found[f"$JS.API.STREAM.MSG.GET.{stream}"] = NOBODY
    found["$JS.API.STREAM.MSG.GET.DEAD"] = frozenset({Service.CALL_ORCHESTRATOR})
    found["$JS.API.STREAM.MSG.DELETE.DEAD"] = NOBODY
    return found


def subscribing() -> Expected:
    """Subject -> who may subscribe to it (in the queue group of its own name where it serves requests)."""
    found: Expected = dict.fromkeys(EVERYTHING, NOBODY)
    for rpc in RPCS:
        found[f"rpc.{rpc.service}.*.*"] = frozenset({rpc.server})
    for command in COMMANDS:
        found[f"calls.{T}.{X}.cmd.{command.name}"] = AGENT
    found[f"tenants.{T}.calls.{X}.turn"] = NOBODY
    found["live.*.>"] = GATEWAY
    found[f"live.{T}.>"] = GATEWAY
    for service in Service:
        found[f"_INBOX_{service.value}.x.*"] = frozenset({service})
    return found


async def refused_of(client: Client, refused: list[str], verb: str, subjects: Iterable[str]) -> set[str]:
    """Which of ``subjects`` the server refused; its errors come before its answer to the flush."""
    await flush(client, 10)
    found = set()
    for text in refused:
        match = re.search(rf'permissions violation for {verb} (?:to )?"([^"]+)"', text, re.IGNORECASE)
        if match is not None:
            found.add(match[1].lower())
    refused.clear()
    return {subject for subject in subjects if subject.lower() in found}


@pytest.mark.parametrize("service", Service)
async def test_the_server_refuses_what_is_not_on_a_services_own_list(
    bus_server: BusServer, service: Service, record_property: Tried
) -> None:
    refused: list[str] = []

    async def error(problem: Exception) -> None:
        refused.append(str(problem))

    settings = bus_server.settings(service.value)
    client = await nats.connect(
        settings.url, user=settings.user, password=settings.password.get_secret_value(), error_cb=error
    )
    try:
        for subject in publishing():
            await client.publish(subject, b"{}")
        told = await refused_of(client, refused, "publish", publishing())
        assert told == {subject for subject, allowed in publishing().items() if service not in allowed}

        serves = {f"rpc.{rpc.service}.*.*" for rpc in RPCS if rpc.server is service}
        for subject in subscribing():
            await client.subscribe(subject, queue=service.value if subject in serves else "")
        told = await refused_of(client, refused, "subscription", subscribing())
        assert told == {subject for subject, allowed in subscribing().items() if service not in allowed}
        assert client.is_connected
        record_property("publications and subscriptions", len(publishing()) + len(subscribing()))
    finally:
        await client.close()
