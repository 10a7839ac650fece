"""The catalogue: every contract has a golden schema, and every fact says who speaks and who listens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from switchboard.bus import permissions, topology
from switchboard.contracts import catalogue
from switchboard.contracts.base import CallFact, Service

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden"


def file_name(contract: str) -> str:
    return contract.replace("/", "_") + ".json"


def test_every_contract_is_as_its_golden_schema_says() -> None:
    """A change here is a change of what is on the wire: `python -m switchboard.contracts.golden` writes the new ones."""
    found = {path.name: json.loads(path.read_text()) for path in GOLDEN.glob("*.json")}
    assert found == {file_name(name): schema for name, schema in catalogue.schemas().items()}


def test_every_fact_has_a_publisher_and_an_own_name() -> None:
    names = [fact.contract() for fact in catalogue.FACTS]
    assert len(names) == len(set(names))
    assert all(fact.publishers for fact in catalogue.FACTS)


def test_call_facts_carry_epoch_and_sequence() -> None:
    for fact in catalogue.FACTS:
        if fact.domain == "calls":
            assert issubclass(fact, CallFact)
            assert {"call_id", "epoch", "seq", "at"} <= set(fact.model_fields)


def test_words_are_sealed_wherever_they_stand() -> None:
    """Every text field of a fact that may hold words is sealed; the exceptions are codes and ids, named here."""
    clear = {
        "room_sid", "event", "event_id", "participant_kind", "sip_call_id", "kind", "reason", "outcome", "media_type",
        "blob_key", "sha256", "status",
    }  # fmt: skip
    for fact in catalogue.FACTS:
        for name, field in fact.model_fields.items():
            if field.annotation is str or "Literal" in str(field.annotation):
                assert name in clear, f"{fact.contract()}.{name} is text in clear"


def test_every_service_has_its_own_user_and_inbox() -> None:
    for service in Service:
        allowed = permissions.permissions(service)
        assert f"_INBOX_{service.value}.>" in allowed.subscribe
        assert not any(subject in (">", "*", "tenants.>", "rpc.>", "_INBOX.>") for subject in allowed.publish)
        assert not any(subject in (">", "tenants.>", "_INBOX.>", "_INBOX*.>") for subject in allowed.subscribe)
        for verb in ("STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.CREATE", "CONSUMER.DELETE.CALLS"):
            assert not any(subject.startswith(f"$JS.API.{verb}") for subject in allowed.publish)


def test_every_consumer_listens_only_to_what_the_catalogue_says() -> None:
    declared = {(c.stream, c.durable): set(c.filters) for c in topology.consumers()}
    assert declared[("CALLS", "call-orchestrator-calls")] == {
        "tenants.*.calls.*.answered",
        "tenants.*.calls.*.turn",
        "tenants.*.calls.*.conversation",
        "tenants.*.calls.*.ended",
        "tenants.*.calls.*.media",
    }
    assert declared[("DOCUMENTS", "ingest-worker-documents")] == {"tenants.*.documents.*.uploaded"}
