"""The catalogue: every contract has a golden schema, and every fact says who speaks and who listens."""

from __future__ import annotations

from pathlib import Path

import pytest
from switchboard.bus import permissions, topology
from switchboard.contracts import catalogue, golden
from switchboard.contracts.base import CallFact, Service
from switchboard.contracts.calls import CallEnded

pytestmark = pytest.mark.unit

GOLDEN = Path(__file__).parent / "golden"


def test_every_contract_is_as_its_golden_schema_says() -> None:
    """A change here is a change of what is on the wire: `make contracts` writes the new ones, unless somebody breaks."""
    assert golden.accepted(GOLDEN) == catalogue.schemas(), "run `make contracts` and read the diff"


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
        "blob_key", "sha256", "status", "service", "actor_kind", "actor_id", "action", "resource_kind", "resource_id",
        "request_id", "trace_id",
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


def test_two_versions_of_a_fact_may_stand_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A break is a second class of the same fact with a higher version; the stream's consumer takes both."""

    class CallEndedAgain(CallEnded):
        contract_version = 2

    monkeypatch.setattr(topology, "FACTS", (*catalogue.FACTS, CallEndedAgain))
    filters = next(c.filters for c in topology.consumers() if c.durable == "call-orchestrator-calls")

    assert CallEndedAgain.contract() == "calls.ended/2"
    assert [subject for subject in filters if subject.endswith(".ended")] == ["tenants.*.calls.*.ended"]
