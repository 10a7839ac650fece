"""Payloads as earlier versions wrote them are read by today's consumers, in the way they read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import pytest
from switchboard.contracts import catalogue, golden
from switchboard.contracts.calls import CallEnded
from switchboard.errors import InvalidInput
from switchboard.testing import corpus

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parent / "corpus"
RETIRED = {golden.file_name(name).removesuffix(".json") for name in golden.retired(Path(__file__).parent / "golden")}
CONTRACTS = {corpus.folder_of(FOLDER, name).name: name for name in catalogue.models()}
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/*.json"))
KEPT = [name for name in FILES if name.partition("/")[0].removesuffix("_request").removesuffix("_reply") not in RETIRED]


@pytest.mark.parametrize("file", KEPT)
def test_todays_consumer_reads_it(file: str) -> None:
    contract = CONTRACTS[file.partition("/")[0]]
    body = corpus.read(contract, (FOLDER / file).read_bytes())
    # What was understood, written again, says everything that stood there.
    again = json.loads(corpus.written(contract, body))
    payload = json.loads((FOLDER / file).read_text())
    assert set(corpus.shape(payload)) <= set(corpus.shape(again))


def fields(contract: str) -> set[str]:
    """The fields that stand in a payload, under whatever value."""
    found: set[str] = set()
    for path in corpus.folder_of(FOLDER, contract).glob("*.json"):
        found |= set(json.loads(path.read_text()))
    return found


def test_every_field_of_every_contract_stands_in_a_payload() -> None:
    missing = {
        contract: sorted(set(schema.get("properties", {})) - fields(contract))
        for contract, schema in catalogue.schemas().items()
    }
    assert {contract: names for contract, names in missing.items() if names} == {}


def test_every_contract_has_the_least_that_may_be_sent() -> None:
    lacking = [
        contract
        for contract in catalogue.models()
        if not list(corpus.folder_of(FOLDER, contract).glob(f"*-{corpus.MINIMAL}.json"))
    ]
    assert lacking == []


def test_a_consumer_that_asks_for_more_does_not_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class CallEndedWithWhy(CallEnded):
        fact: ClassVar[str] = "ended"

        why: str

    models = catalogue.models() | {"calls.ended/1": CallEndedWithWhy}
    monkeypatch.setattr(corpus, "models", lambda: models)
    for path in corpus.folder_of(FOLDER, "calls.ended/1").glob("*.json"):
        with pytest.raises(InvalidInput):
            corpus.read("calls.ended/1", path.read_bytes())


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    least = next(corpus.folder_of(FOLDER, "calls.ended/1").glob(f"*-{corpus.MINIMAL}.json"))
    ended = CallEnded.model_validate_json(least.read_bytes())
    for _ in range(2):  # a second time there is nothing new
        recorder = corpus.Recorder(tmp_path, "2026-11-27")
        recorder.note("calls.ended/1", ended)
        recorder.save()

    written = sorted(tmp_path.glob("*/*.json"))
    assert [path.name for path in written] == ["2026-11-27-1.json", "2026-11-27-least.json"]
    assert [corpus.read("calls.ended/1", path.read_bytes()) for path in written] == [ended, ended]
