"""The AsyncAPI 3.0 document of the bus, made from the catalogue: ``python -m switchboard.bus.asyncapi FILE``.

Channels are subjects with their ids as parameters, operations are what each service sends and receives. Extensions:
``x-stream`` and ``x-durable`` (JetStream), ``x-contract`` and ``x-version`` (the envelope's name of a message),
``x-sealed-fields`` (JSON pointers of what is encrypted under the tenant's key; ``*`` stands for an item).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from switchboard.bus import envelope
from switchboard.bus.permissions import (
    BUCKET_READERS,
    BUCKET_WRITERS,
    COMMAND_SERVER,
    DEAD_LETTER_READERS,
    LIVE_PUBLISHERS,
    LIVE_READERS,
)
from switchboard.bus.topology import AUDIT_HEADS, DEAD_LETTERS, SNAPSHOTS, STREAM_OF, consumers, durable
from switchboard.contracts.audit import HEAD_CONTRACT
from switchboard.contracts.base import Command, Contract, Fact, Live, Rpc, Service
from switchboard.contracts.catalogue import FACTS, LIVES, REQUESTS, models

Json = dict[str, Any]

_ID = "32 lower-case hexadecimal characters"
_PARAMETERS: Mapping[str, Json] = {
    "tenant_id": {"description": f"the tenant: {_ID}, or _ where there is none"},
    "call_id": {"description": f"the call: {_ID}, or _ before it is known"},
    "document_id": {"description": f"the document: {_ID}"},
}
_SCHEMAS = "#/components/schemas/"


def _key(contract: str) -> str:
    """As the golden files are named: ``/`` can't stand in a component's name."""
    return contract.replace("/", "_")


def _ref(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}


def _channel(address: str | None, messages: Iterable[str], **extensions: Any) -> Json:
    names = [part[1:-1] for part in (address or "").split(".") if part.startswith("{")]
    made: Json = {"address": address, "messages": {_key(name): _message_ref(name) for name in messages}}
    if names:
        made["parameters"] = {name: _PARAMETERS[name] for name in names}
    return made | extensions


def _message_ref(contract: str) -> Json:
    return _ref("components", "messages", _key(contract))


def _operation(action: str, channel: str, messages: Iterable[str], **more: Any) -> Json:
    """Messages are named through their channel, as the specification wants."""
    refs = [_ref("channels", channel, "messages", _key(name)) for name in messages]
    return {"action": action, "channel": _ref("channels", channel), "messages": refs} | more


class _Document:
    """Channels and operations while they are put together."""

    def __init__(self) -> None:
        self.channels: dict[str, Json] = {}
        self.operations: dict[str, Json] = {}

    def fact(self, fact: type[Fact]) -> None:
        entity = {"calls": ".{call_id}", "documents": ".{document_id}", "config": ""}[fact.domain]
        address = f"tenants.{{tenant_id}}.{fact.domain}{entity}.{fact.fact}"
        channel = f"{fact.domain}.{fact.fact}"
        known = self.channels.get(channel, {"messages": {}})["messages"]  # another version of the same fact
        made = _channel(address, [fact.contract()], **{"x-stream": STREAM_OF[fact.domain]})
        made["messages"] = known | made["messages"]
        self.channels[channel] = made
        for service in sorted(fact.publishers):
            self._add(service, _operation("send", channel, [fact.contract()]), fact.contract())
        for service in sorted(fact.consumers):
            of = {"x-durable": durable(service, fact.domain)}
            self._add(service, _operation("receive", channel, [fact.contract()], **of), fact.contract())

    def request(self, spec: Rpc[Any, Any] | Command[Any, Any]) -> None:
        name = spec.contract().partition("/")[0]
        if isinstance(spec, Rpc):
            channel, address = f"rpc.{name}", f"rpc.{name}.{{tenant_id}}"
            server = spec.server
        else:
            channel, address = name, f"calls.{{tenant_id}}.{{call_id}}.cmd.{spec.name}"
            server = COMMAND_SERVER
        question, answer = f"{spec.contract()}/request", f"{spec.contract()}/reply"
        self.channels[channel] = _channel(address, [question])
        # The client's inbox, which NATS names in the request: there is no address to be written down.
        self.channels[f"{channel}.reply"] = _channel(None, [answer])
        reply = {
            "channel": _ref("channels", f"{channel}.reply"),
            "messages": [_ref("channels", f"{channel}.reply", "messages", _key(answer))],
        }
        timing = {"reply": reply, "x-deadline-seconds": spec.deadline}
        for service in sorted(spec.clients):
            self._add(service, _operation("send", channel, [question], **timing), question)
        self._add(server, _operation("receive", channel, [question], **timing), question)

    def live(self, live: type[Live]) -> None:
        channel = f"live.{live.kind}"
        self.channels[channel] = _channel(f"live.{{tenant_id}}.{{call_id}}.{live.kind}", [live.contract()])
        for service in sorted(LIVE_PUBLISHERS):
            self._add(service, _operation("send", channel, [live.contract()]), live.contract())
        for service in sorted(LIVE_READERS):
            self._add(service, _operation("receive", channel, [live.contract()]), live.contract())

    def dead_letters(self) -> None:
        for consumer in consumers():
            taken = [
                fact.contract() for fact in FACTS for s in fact.consumers if durable(s, fact.domain) == consumer.durable
            ]
            channel = f"dead.{consumer.durable}"
            address = f"dead.{{tenant_id}}.{consumer.durable}"
            self.channels[channel] = _channel(address, taken, **{"x-stream": DEAD_LETTERS})
            owner = next(s for s in Service for fact in FACTS if durable(s, fact.domain) == consumer.durable)
            self._add(owner, _operation("send", channel, taken), channel)
            for service in sorted(DEAD_LETTER_READERS):
                self._add(service, _operation("receive", channel, taken), channel)

    def bucket(self, bucket: str, contract: str) -> None:
        channel = f"kv.{bucket}"
        self.channels[channel] = _channel(f"$KV.{bucket}.{{tenant_id}}", [contract], **{"x-bucket": bucket})
        for service in sorted(BUCKET_WRITERS[bucket]):
            self._add(service, _operation("send", channel, [contract]), contract)
        for service in sorted(BUCKET_READERS[bucket]):
            self._add(service, _operation("receive", channel, [contract]), contract)

    def _add(self, service: Service, operation: Json, what: str) -> None:
        self.operations[f"{service.value}.{operation['action']}.{_key(what)}"] = operation


def document() -> Json:
    """The whole document, in a fixed order."""
    made = _Document()
    for fact in FACTS:
        made.fact(fact)
    for spec in REQUESTS:
        made.request(spec)
    for live in LIVES:
        made.live(live)
    made.dead_letters()
    made.bucket(SNAPSHOTS, "snapshot/1")
    made.bucket(AUDIT_HEADS, HEAD_CONTRACT)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Switchboard's bus",
            "version": "1.0.0",
            "description": "Made from switchboard.contracts.catalogue; `make contracts` writes it again.",
        },
        "defaultContentType": "application/json",
        "channels": dict(sorted(made.channels.items())),
        "operations": dict(sorted(made.operations.items())),
        "components": _components(),
    }


def _components() -> Json:
    payloads = models()
    refs, definitions = models_json_schema(
        [(model, "validation") for model in payloads.values()], ref_template=_SCHEMAS + "{model}"
    )
    schemas: Json = definitions["$defs"]
    messages = {}
    for contract, model in payloads.items():
        if contract != "actor/1":  # a header
            messages[_key(contract)] = _message(contract, model, refs[(model, "validation")], schemas)
    headers = {name: _headers(schemas["Actor"], kind) for name, kind in _TRAITS.items()}
    return {"schemas": schemas, "messages": messages, "messageTraits": headers}


def _message(contract: str, model: type[Contract], payload: Json, schemas: Json) -> Json:
    domain, version, *role = contract.split("/")
    trait = role[0] if role else "stored" if contract == "snapshot/1" else domain.partition(".")[0]
    made: Json = {
        "name": model.__name__,
        "summary": (model.__doc__ or "").partition("\n")[0],
        "payload": payload,
        "x-contract": f"{domain}/{version}",
        "x-version": int(version),
    }
    sealed = sorted(set(_sealed(payload, schemas, "")))
    if sealed:
        made["x-sealed-fields"] = sealed
    name = {"request": "request", "reply": "reply", "live": "live", "stored": ""}.get(trait, "fact")
    return made | ({"traits": [_ref("components", "messageTraits", name)]} if name else {})


_TRAITS: Mapping[str, tuple[str, ...]] = {
    "fact": (envelope.CONTRACT, envelope.SOURCE, envelope.MESSAGE_ID, envelope.BROKER_ID),
    "request": (envelope.CONTRACT, envelope.SOURCE, envelope.ACTOR, envelope.DEADLINE),
    "reply": (),
    "live": (envelope.CONTRACT,),
}
_HEADERS: Mapping[str, str] = {
    envelope.CONTRACT: "name and version of the contract (x-contract)",
    envelope.SOURCE: "the service that wrote it",
    envelope.MESSAGE_ID: f"the message id, the key of the consumers' inboxes: {_ID} (UUIDv7)",
    envelope.BROKER_ID: "what the broker recognises copies by: the same id",
    envelope.ACTOR: "on whose behalf: JSON of the schema Actor",
    envelope.DEADLINE: "Unix milliseconds after which nobody waits",
}


def _headers(actor: Json, names: tuple[str, ...]) -> Json:
    properties: Json = {name: {"type": "string", "description": _HEADERS[name]} for name in names}
    if envelope.ACTOR in properties:
        properties[envelope.ACTOR] |= {"contentMediaType": "application/json", "x-schema": _SCHEMAS + actor["title"]}
    properties["traceparent"] = {"type": "string", "description": "W3C trace context"}
    if not names:
        properties[envelope.ERROR] = {
            "type": "string",
            "description": "code of the error; the payload is the error then",
        }
    return {"headers": {"type": "object", "properties": properties, "required": list(names)}}


def _sealed(schema: Json, schemas: Json, path: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _sealed(schemas[schema["$ref"].removeprefix(_SCHEMAS)], schemas, path)
    if schema.get("x-sealed"):
        yield path
        return
    for branch in schema.get("anyOf", ()):
        yield from _sealed(branch, schemas, path)
    for name, inner in schema.get("properties", {}).items():
        yield from _sealed(inner, schemas, f"{path}/{name}")
    if isinstance(schema.get("items"), dict):
        yield from _sealed(schema["items"], schemas, f"{path}/*")


def text() -> str:
    """The document as it stands in the file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m switchboard.bus.asyncapi")
    parser.add_argument("file", type=Path)
    parser.parse_args().file.write_text(text(), encoding="utf-8")
