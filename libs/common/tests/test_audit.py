"""What an audit line shows and what it hides."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import UTC, date, datetime

import pytest
from pydantic import SecretStr
from switchboard.audit import MASK, Line, Resource, canonical, masked, state_text, told
from switchboard.contracts.base import Actor, Contract, Origin, Service
from switchboard.contracts.tenants import ConnectTrunk
from switchboard.sealed import Sealed

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


class Colour(enum.StrEnum):
    RED = "red"


class Inner(Contract):
    note: Sealed | None
    name: str


class Outer(Contract):
    harmless: SecretStr
    inner: tuple[Inner, ...]
    by_name: dict[str, Sealed]
    colour: Colour
    day: date


def test_what_has_the_type_of_a_secret_is_masked_however_deep_and_whatever_its_name() -> None:
    outer = Outer(
        harmless=SecretStr("s3cret"),
        inner=(Inner(note=Sealed("s3cret"), name="a"), Inner(note=None, name="b")),
        by_name={"x": Sealed("s3cret")},
        colour=Colour.RED,
        day=date(2026, 12, 25),
    )
    found = masked({"outer": outer, "key": b"s3cret", "loose": [Sealed("s3cret")]})
    assert found["outer"] == {
        "harmless": MASK,
        "inner": [{"note": MASK, "name": "a"}, {"note": None, "name": "b"}],
        "by_name": {"x": MASK},
        "colour": "red",
        "day": "2026-12-25",
    }
    assert (found["key"], found["loose"]) == (MASK, [MASK])
    assert "s3cret" not in canonical(found)


def test_a_trunks_password_is_masked_and_its_user_name_is_not() -> None:
    trunk = ConnectTrunk(
        name="sbc",
        allowed_addresses=("192.0.2.1",),
        numbers=("+34910000000",),
        auth_username="front-desk",
        auth_password=Sealed("s3cret"),
    )
    assert masked(trunk)["auth_password"] == MASK
    assert masked(trunk)["auth_username"] == "front-desk"
    # As a mapping of its fields, too: that is what a caller adds something to.
    assert masked({**dict(trunk), "more": 1})["auth_password"] == MASK


def test_nothing_is_not_masked_so_that_setting_a_secret_shows() -> None:
    assert masked({"password": None}) == {"password": None}


def test_canonical_json_has_one_form() -> None:
    assert (
        canonical({"b": 1, "a": ["é", None]}) == canonical({"a": ["é", None], "b": 1}) == '{"a":["\\u00e9",null],"b":1}'
    )
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_a_told_line_says_who_what_and_from_where() -> None:
    tenant = uuid.uuid4()
    origin = Origin(ip="203.0.113.9", user_agent="curl/8", request_id="r1")
    actor = Actor(kind="user", id="u1", tenant_id=tenant, roles=("owner",), origin=origin)
    fact = told(
        tenant,
        Service.CALL_ORCHESTRATOR,
        actor,
        Line("call.end_requested", Resource("call", "c1"), after={"e": 1}),
        NOW,
    )
    assert (fact.actor_kind, fact.actor_id, fact.actor_roles) == ("user", "u1", ("owner",))
    assert (fact.ip, fact.user_agent, fact.request_id, fact.before) == ("203.0.113.9", "curl/8", "r1", None)
    assert isinstance(fact.ip, Sealed)
    assert isinstance(fact.after, Sealed)
    assert json.loads(fact.after) == {"e": 1}
    assert state_text(None) is None
