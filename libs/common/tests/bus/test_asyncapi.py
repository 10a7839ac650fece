"""The AsyncAPI document is the catalogue's, is sound in itself, and says no more than the broker's permissions allow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from switchboard.bus import asyncapi, permissions
from switchboard.bus.topology import consumers
from switchboard.contracts.base import Service
from switchboard.contracts.catalogue import FACTS, LIVES, REQUESTS, RPCS, models

pytestmark = pytest.mark.unit

FILE = Path(__file__).parents[4] / "docs" / "asyncapi.json"
KEY = re.compile(r"[A-Za-z0-9._-]+")
Json = dict[str, Any]


@pytest.fixture
def document() -> Json:
    return asyncapi.document()


def test_the_file_is_what_the_catalogue_says() -> None:
    assert FILE.read_text(encoding="utf-8") == asyncapi.text(), "run `make contracts` and read the diff"


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("$ref", "x-schema"):
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def at(document: Json, reference: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def problems(document: Json) -> list[str]:
    """What the specification asks for beyond the shape of its objects, and what its JSON schema can't see."""
    found = []
    for reference in references(document):
        try:
            at(document, reference)
        except KeyError:
            found.append(f"{reference} leads nowhere")
    for name, channel in document["channels"].items():
        asked = set(re.findall(r"\{(\w+)\}", channel["address"] or ""))
        if asked != set(channel.get("parameters", {})):
            found.append(f"channel {name}: its parameters are not those of its address")
    for name, operation in document["operations"].items():
        if operation["action"] not in ("send", "receive"):
            found.append(f"operation {name}: no such action")
        for side in (operation, operation.get("reply", operation)):
            inside = side["channel"]["$ref"] + "/messages/"
            if not all(message["$ref"].startswith(inside) for message in side["messages"]):
                found.append(f"operation {name}: a message of another channel")
    keys = [*document["channels"], *document["operations"]]
    keys += [key for kind in document["components"].values() for key in kind]
    return found + [f"{key}: not a component's name" for key in keys if KEY.fullmatch(key) is None]


def test_the_document_is_sound(document: Json) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert problems(document) == []


SABOTAGE: dict[str, tuple[Callable[[Json], object], str]] = {
    "a schema is gone": (lambda d: d["components"]["schemas"].pop("CallEnded"), "leads nowhere"),
    "a message is gone": (lambda d: d["channels"]["calls.ended"]["messages"].clear(), "leads nowhere"),
    "a parameter is gone": (lambda d: d["channels"]["calls.ended"]["parameters"].pop("call_id"), "its parameters"),
    "another action": (
        lambda d: d["operations"]["voice-agent.send.calls.ended_1"].update(action="publish"),
        "no such action",
    ),
    "another channel": (
        lambda d: d["operations"]["voice-agent.send.calls.ended_1"].update(channel={"$ref": "#/channels/calls.turn"}),
        "another channel",
    ),
}


@pytest.mark.parametrize("case", SABOTAGE)
def test_an_unsound_document_is_found(document: Json, case: str) -> None:
    sabotage, complaint = SABOTAGE[case]
    broken = deepcopy(document)
    sabotage(broken)
    assert any(complaint in problem for problem in problems(broken))


def test_every_contract_is_in_it(document: Json) -> None:
    messages = {message["x-contract"]: message for message in document["components"]["messages"].values()}
    contracts = {name.removesuffix("/request").removesuffix("/reply") for name in models()}
    assert set(messages) == contracts - {"actor/1"}
    used = {reference.rpartition("/")[2] for reference in references(document["channels"])}
    assert used == set(document["components"]["messages"])


def test_senders_may_send_and_receivers_may_receive(document: Json) -> None:
    """Each operation's subject, its ids replaced by ``*``, is on the list that the broker holds of that service."""
    for name, operation in document["operations"].items():
        service = next(service for service in Service if name.startswith(f"{service.value}."))
        allowed = permissions.permissions(service)
        channel = at(document, operation["channel"]["$ref"])
        subject = re.sub(r"\{\w+\}", "*", channel["address"])
        if operation["action"] == "send":
            assert subject in allowed.publish, name
        elif subject.startswith("rpc."):
            assert re.sub(r"\.\w+\.\*$", f".*.* {service.value}", subject) in allowed.subscribe, name
        elif subject.startswith("tenants."):
            pull = f"$JS.API.CONSUMER.MSG.NEXT.{channel['x-stream']}.{operation['x-durable']}"
            assert pull in allowed.publish, name
            assert any(c.durable == operation["x-durable"] and subject in c.filters for c in consumers()), name


def test_nobody_who_speaks_or_listens_is_left_out(document: Json) -> None:
    operations = set(document["operations"])

    def named(service: Service, action: str, contract: str) -> str:
        return f"{service.value}.{action}.{contract.replace('/', '_')}"

    wanted = {named(s, "send", fact.contract()) for fact in FACTS for s in fact.publishers}
    wanted |= {named(s, "receive", fact.contract()) for fact in FACTS for s in fact.consumers}
    wanted |= {named(s, "send", spec.contract() + "/request") for spec in REQUESTS for s in spec.clients}
    wanted |= {named(spec.server, "receive", spec.contract() + "/request") for spec in RPCS}
    wanted |= {named(Service.VOICE_AGENT, "send", live.contract()) for live in LIVES}
    assert wanted <= operations


def test_it_says_what_is_sealed_and_in_which_envelope(document: Json) -> None:
    turn = document["components"]["messages"]["calls.turn_1"]
    assert turn["x-sealed-fields"] == [
        *("/agent_heard", "/agent_said", "/caller_said/*/text"),
        *("/passages/*/document_name", "/passages/*/heading", "/passages/*/text"),
    ]
    assert "x-sealed-fields" not in document["components"]["messages"]["calls.closed_1"]
    (trait,) = turn["traits"]
    assert at(document, trait["$ref"])["headers"]["required"] == [
        *("Switchboard-Contract", "Switchboard-Source", "Switchboard-Message-Id", "Nats-Msg-Id"),
    ]
    assert json.loads(json.dumps(document)) == document
