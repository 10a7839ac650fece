"""Payloads as the services of a day wrote them, kept so that later ones are shown to read them.

``corpus/<contract>_<version>[_request|_reply]/<when>-<n>.json``. Sealed fields are sealed under a key that everybody knows.

pytest plugin: ``--record-corpus FOLDER`` writes what the tests that run put on the bus, as far as FOLDER has nothing of its
shape yet, and of each contract the least that may be sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from switchboard.bus import envelope, rpc
from switchboard.clock import SystemClock
from switchboard.contracts.base import Contract
from switchboard.contracts.catalogue import models
from switchboard.contracts.golden import file_name
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.sealed import Cipher, DataKey

KEY = DataKey(bytes(range(32)), "corpus")
MINIMAL = "least"
Json = dict[str, Any]


def purpose(contract: str) -> str:
    """What a message is sealed for, as :mod:`switchboard.bus.rpc` says it."""
    return contract.removesuffix("/request")


def folder_of(corpus: Path, contract: str) -> Path:
    return corpus / file_name(contract).removesuffix(".json")


def read(contract: str, payload: bytes) -> Contract:
    """As today's consumer reads it; raises what it would raise."""
    return envelope.decode(models()[contract], payload, KEY, purpose(contract))


def written(contract: str, body: Contract) -> bytes:
    return envelope.encode(body, KEY, purpose(contract))


def shape(value: object, path: str = "") -> Iterator[str]:
    """Every place of a payload and what stands there: ``/passages/*/score number``."""
    if isinstance(value, dict) and set(value) != {"sealed"}:
        for name, inner in value.items():
            yield from shape(inner, f"{path}/{name}")
    elif isinstance(value, list):
        for item in value:
            yield from shape(item, f"{path}/*")
    kind = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}.get(type(value), "")
    yield f"{path} {kind}".rstrip()


def least(schema: Mapping[str, Any], payload: Any, root: Mapping[str, Any]) -> Any:
    """``payload`` without everything that ``schema`` does not require; ``root`` holds its ``$defs``."""
    if "$ref" in schema:
        return least(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], payload, root)
    if "anyOf" in schema and payload is not None:
        objects = [
            branch for branch in schema["anyOf"] if "$ref" in branch or branch.get("type") in ("array", "object")
        ]
        return least(objects[0], payload, root) if objects else payload
    if isinstance(payload, list) and "items" in schema:
        return [least(schema["items"], item, root) for item in payload]
    if isinstance(payload, dict) and "properties" in schema and not schema.get("x-sealed"):
        required, properties = schema.get("required", ()), schema["properties"]
        return {name: least(properties[name], value, root) for name, value in payload.items() if name in required}
    return payload


class Recorder:
    """What was written in this process, one payload for each new shape, the shortest first."""

    def __init__(self, corpus: Path, day: str) -> None:
        self._corpus = corpus
        self._day = day
        self._seen: dict[str, dict[frozenset[str], bytes]] = {}

    def note(self, contract: str, body: Contract) -> None:
        payload = written(contract, body)
        kept = self._seen.setdefault(contract, {})
        found = frozenset(shape(json.loads(payload)))
        if found not in kept or len(payload) < len(kept[found]):
            kept[found] = payload

    def save(self) -> None:
        for contract, kept in sorted(self._seen.items()):
            folder = folder_of(self._corpus, contract)
            folder.mkdir(parents=True, exist_ok=True)
            known = {place for path in folder.glob("*.json") for place in shape(json.loads(path.read_text()))}
            for found, payload in sorted(kept.items(), key=lambda entry: (-len(entry[0]), len(entry[1]))):
                if not found <= known:
                    known |= found
                    self._write(folder / f"{self._day}-{len(list(folder.glob(self._day + '*'))) + 1}.json", payload)
            self._least(contract, folder, min(kept.values(), key=len))

    def _least(self, contract: str, folder: Path, payload: bytes) -> None:
        schema = models()[contract].model_json_schema()
        path = folder / f"{self._day}-{MINIMAL}.json"
        if not list(folder.glob(f"*-{MINIMAL}.json")):
            self._write(path, json.dumps(least(schema, json.loads(payload), schema)).encode())

    @staticmethod
    def _write(path: Path, payload: bytes) -> None:
        path.write_text(json.dumps(json.loads(payload), indent=1) + "\n")


def _name(body: Contract, purpose: str) -> str:
    return purpose if type(body) is models().get(purpose) else f"{purpose}/request"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-corpus", default="", metavar="FOLDER", help="add what the tests put on the bus to FOLDER"
    )


@pytest.fixture(scope="session", autouse=True)
def recorded_corpus(request: pytest.FixtureRequest) -> Iterator[None]:
    folder = request.config.getoption("--record-corpus")
    if not folder:
        yield
        return
    recorder = Recorder(Path(folder), SystemClock().now().date().isoformat())
    real, snapshots = envelope.encode, TenantSnapshot.model_dump_json

    def encode(body: Contract, cipher: Cipher, purpose: str) -> bytes:
        if cipher is not KEY:
            recorder.note(_name(body, purpose), body)
        return real(body, cipher, purpose)

    def dump(self: TenantSnapshot, **options: Any) -> str:
        if not options:
            recorder.note("snapshot/1", self)
        return snapshots(self, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "encode", encode)
        patch.setattr(rpc, "encode", encode)
        patch.setattr(TenantSnapshot, "model_dump_json", dump)
        yield
    recorder.save()
