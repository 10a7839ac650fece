"""Subjects and ids: what may stand in them, and that hostile text never does."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from switchboard import subjects
from switchboard.clock import ManualClock
from switchboard.errors import InvalidId
from switchboard.ids import Ids, created_at, parse_optional_token, parse_token, token
from switchboard.testing.hostile import HOSTILE_IDS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ["", "A" * 32, *HOSTILE_IDS])
def test_hostile_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidId) as caught:
        parse_token(text, "call_id")
    assert caught.value.fields[0].pointer == "/call_id"
    if len(text) > 2:
        assert text not in str(caught.value)  # it may be somebody's number


@settings(deadline=None)
@given(st.text())
def test_only_32_hex_characters_are_an_id(text: str) -> None:
    try:
        parsed = parse_token(text)
    except InvalidId:
        return
    assert token(parsed) == text
    assert len(text) == 32


def test_text_is_not_an_id_even_if_it_looks_like_one() -> None:
    with pytest.raises(InvalidId):
        token("0" * 32)  # type: ignore[arg-type]


def test_an_underscore_stands_for_nobody() -> None:
    assert token(None) == "_"
    assert parse_optional_token("_") is None


@settings(deadline=None)
@given(st.uuids(), st.uuids())
def test_a_fact_subject_parses_back(tenant: uuid.UUID, call: uuid.UUID) -> None:
    parsed = subjects.parse_fact(subjects.call_fact(tenant, call, "turn"))
    assert (parsed.tenant_id, parsed.domain, parsed.entity_id, parsed.fact) == (tenant, "calls", call, "turn")
    assert subjects.tenant_of(subjects.rpc("calls", "admit", tenant)) == tenant
    assert subjects.tenant_of(subjects.live(tenant, call, "words")) == tenant


@pytest.mark.parametrize("name", ["", "Turn", "a.b", "turn ", "*", ">", "x\n", "9x"])
def test_a_name_can_only_be_a_name(name: str) -> None:
    with pytest.raises(InvalidId):
        subjects.call_fact(None, None, name)


@pytest.mark.parametrize("subject", ["", "tenants", "tenants._.calls._", "tenants._.other._.x", "x._.calls._.y"])
def test_other_subjects_are_no_facts(subject: str) -> None:
    with pytest.raises(InvalidId):
        subjects.parse_fact(subject)


def test_ids_are_version_7_and_sort_by_time() -> None:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    ids = Ids(clock)
    made = []
    for _ in range(50):
        made.append(ids.new())
        clock.advance(0.002)
    assert made == sorted(made, key=lambda identifier: identifier.int)
    assert {identifier.version for identifier in made} == {7}
    assert {identifier.variant for identifier in made} == {uuid.RFC_4122}
    assert created_at(made[0]) == datetime(2026, 3, 1, tzinfo=UTC)
