"""What each service may do on the bus, from the catalogue, as nats-server configuration.

``python -m switchboard.bus.permissions`` prints the ``authorization`` block; passwords come from
``SWITCHBOARD_NATS_PASSWORDS__<SERVICE>`` (and ``__TOPOLOGY`` for the step that declares streams).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from switchboard.bus.topology import AUDIT_HEADS, BUCKETS, DEAD_LETTERS, SNAPSHOTS, STREAM_OF, TENANT_KEYS, durable
from switchboard.contracts.base import Fact, Service
from switchboard.contracts.catalogue import COMMANDS, FACTS, LIVES, RPCS
from switchboard.settings import DELIMITER, EX_CONFIG, PREFIX

TOPOLOGY_USER = "topology"
_PASSWORDS = f"{PREFIX}NATS_PASSWORDS{DELIMITER}"

# Who reads which bucket, and who writes it.
BUCKET_READERS: dict[str, frozenset[Service]] = {
    SNAPSHOTS: frozenset({Service.TENANT_SVC, Service.CALL_ORCHESTRATOR, Service.VOICE_AGENT, Service.RAG_SVC}),
    TENANT_KEYS: frozenset(Service),
    AUDIT_HEADS: frozenset({Service.TENANT_SVC}),
}
BUCKET_WRITERS: dict[str, frozenset[Service]] = {
    SNAPSHOTS: frozenset({Service.TENANT_SVC}),
    TENANT_KEYS: frozenset({Service.TENANT_SVC}),
    AUDIT_HEADS: frozenset({Service.TENANT_SVC}),
}
LIVE_PUBLISHERS = frozenset({Service.VOICE_AGENT})
LIVE_READERS = frozenset({Service.API_GATEWAY})
COMMAND_SERVER = Service.VOICE_AGENT
DEAD_LETTER_READERS = frozenset({Service.CALL_ORCHESTRATOR})
"""Its operators' pages list the envelopes; content is sealed, and sending again stays with the topology user."""


@dataclass(frozen=True, slots=True)
class Permissions:
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies: bool


def fact_pattern(fact: type[Fact]) -> str:
    entity = "" if fact.domain == "config" else "*."
    return f"tenants.*.{fact.domain}.{entity}{fact.fact}"


def permissions(service: Service) -> Permissions:
    """The two lists of one service; a subject that is on neither is refused by the server."""
    publish = {fact_pattern(fact) for fact in FACTS if service in fact.publishers}
    publish |= {f"rpc.{spec.service}.{spec.method}.*" for spec in RPCS if service in spec.clients}
    publish |= {f"calls.*.*.cmd.{spec.name}" for spec in COMMANDS if service in spec.clients}
    subscribe = {f"_INBOX_{service.value}.>"}
    served = {spec.service for spec in RPCS if spec.server is service}
    subscribe |= {f"rpc.{name}.*.* {service.value}" for name in served}
    if service is COMMAND_SERVER:
        subscribe |= {f"calls.*.*.cmd.{spec.name}" for spec in COMMANDS}
    for domain in {fact.domain for fact in FACTS if service in fact.consumers}:
        name = durable(service, domain)
        publish |= {
            f"$JS.API.CONSUMER.MSG.NEXT.{STREAM_OF[domain]}.{name}",
            f"$JS.ACK.{STREAM_OF[domain]}.{name}.>",
            f"dead.*.{name}",
        }
    for bucket in BUCKETS:
        publish |= _bucket(bucket, service)
    if service in DEAD_LETTER_READERS:
        publish |= {f"$JS.API.STREAM.INFO.{DEAD_LETTERS}", f"$JS.API.STREAM.MSG.GET.{DEAD_LETTERS}"}
    if service in LIVE_PUBLISHERS:
        publish |= {f"live.*.*.{live.kind}" for live in LIVES}
    if service in LIVE_READERS:
        subscribe.add("live.*.>")
    replies = bool(served) or service is COMMAND_SERVER
    return Permissions(tuple(sorted(publish)), tuple(sorted(subscribe)), replies)


def _bucket(bucket: str, service: Service) -> set[str]:
    stream = f"KV_{bucket}"
    found: set[str] = set()
    if service in BUCKET_READERS[bucket]:
        found |= {
            f"$JS.API.STREAM.INFO.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}",
            f"$JS.API.CONSUMER.CREATE.{stream}.>",
            f"$JS.API.CONSUMER.INFO.{stream}.*",
            f"$JS.API.CONSUMER.DELETE.{stream}.*",
            f"$JS.API.STREAM.MSG.GET.{stream}",
            f"$JS.API.DIRECT.GET.{stream}.>",
            f"$JS.FC.{stream}.>",
        }
    if service in BUCKET_WRITERS[bucket]:
        found.add(f"$KV.{bucket}.*")
    return found


def render(passwords: Mapping[str, str]) -> str:
    """The ``authorization`` block for nats-server. ``passwords`` by user name, :data:`TOPOLOGY_USER` among them."""
    users = [_user(service, passwords[service.value]) for service in Service]
    topology = {
        "publish": ["$JS.API.>", "tenants.>"],  # facts only when a dead letter is sent again
        "subscribe": [f"_INBOX_{TOPOLOGY_USER}.>"],
    }
    users.append(_block(TOPOLOGY_USER, passwords[TOPOLOGY_USER], topology, replies=False))
    return "authorization {\n  users = [\n" + ",\n".join(users) + "\n  ]\n}\n"


def _user(service: Service, password: str) -> str:
    allowed = permissions(service)
    lists = {"publish": list(allowed.publish), "subscribe": list(allowed.subscribe)}
    return _block(service.value, password, lists, replies=allowed.replies)


def _block(user: str, password: str, lists: Mapping[str, list[str]], *, replies: bool) -> str:
    body = [f"publish: {{ allow: {json.dumps(lists['publish'])} }}"]
    body.append(f"subscribe: {{ allow: {json.dumps(lists['subscribe'])} }}")
    if replies:
        body.append('allow_responses: { max: 1, expires: "30s" }')
    permissions_block = ", ".join(body)
    return (
        f"    {{ user: {json.dumps(user)}, password: {json.dumps(password)}, permissions: {{ {permissions_block} }} }}"
    )


def users() -> tuple[str, ...]:
    return (*(service.value for service in Service), TOPOLOGY_USER)


def variable(user: str) -> str:
    """The environment variable with a user's password."""
    return _PASSWORDS + user.upper().replace("-", "_")


def main() -> None:
    missing = [variable(user) for user in users() if not os.environ.get(variable(user))]
    if missing:
        sys.stderr.write("These variables must hold the NATS passwords:\n  " + "\n  ".join(missing) + "\n")
        raise SystemExit(EX_CONFIG)
    sys.stdout.write(render({user: os.environ[variable(user)] for user in users()}))


if __name__ == "__main__":
    main()
