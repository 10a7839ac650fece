"""Shapes of problems, and the forms they come from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_gateway.identity.schemas import SignUpForm, TenantForm
from api_gateway.problems import field_problem, problem_for
from api_gateway.schemas import Form
from api_gateway.tenants.schemas import AgentForm, HolidaysForm, LocationForm, NumberForm, TrunkForm
from pydantic import ValidationError
from switchboard.contracts.identity import NewTenant
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.contracts.tenants import ConnectTrunk, NewLocation, NewNumber, SetHolidays
from switchboard.errors import (
    DeadlineExceeded,
    FieldProblem,
    InternalError,
    InvalidInput,
    NoResponder,
    NotAuthenticated,
)
from switchboard.sealed import SealError

pytestmark = pytest.mark.unit

TENANT = {"name": "Sol", "time_zone": "Europe/Madrid"}
TRUNK = {"name": "SBC", "allowed_addresses": ["203.0.113.0/28"], "numbers": ["+34910000000"]}


def problems(form: type[Form], body: Any) -> dict[str, FieldProblem]:
    with pytest.raises(ValidationError) as caught:
        form.model_validate_json(json.dumps(body))
    found = [field_problem({**detail, "loc": ("body", *detail["loc"])}) for detail in caught.value.errors()]
    return {problem.pointer: problem for problem in found}


@pytest.mark.parametrize(
    ("form", "body", "pointer"),
    [
        (TenantForm, {**TENANT, "name": ""}, "/name"),
        (TenantForm, {**TENANT, "name": "a\x00b"}, "/name"),
        (TenantForm, {**TENANT, "name": "x" * 121}, "/name"),
        (SignUpForm, {"email": "a b@c.d"}, "/email"),
        (TenantForm, {**TENANT, "time_zone": "../etc/passwd"}, "/time_zone"),
        (TenantForm, {**TENANT, "language": "en_US!"}, "/language"),
        (TenantForm, {**TENANT, "tenant_id": "x"}, "/tenant_id"),
        (LocationForm, {"name": "A", "hours": [{"day": "monday", "opens": "18:00", "closes": "09:00"}]}, "/hours/0"),
        (LocationForm, {"name": "A", "hours": [{"day": "lunes", "opens": "09:00", "closes": "18:00"}]}, "/hours/0/day"),
        (LocationForm, {"name": "A", "hours": [{"day": "monday", "opens": 9, "closes": "18:00"}]}, "/hours/0/opens"),
        (
            LocationForm,
            {"name": "A", "hours": [{"day": "monday", "opens": "09:00Z", "closes": "18:00"}]},
            "/hours/0/opens",
        ),
        (LocationForm, {"hours": []}, "/name"),
        (HolidaysForm, {"holidays": [{"day": "25/12/2026", "name": "Navidad"}]}, "/holidays/0/day"),
        (HolidaysForm, {"holidays": [{"day": "2026-02-30", "name": "x"}]}, "/holidays/0/day"),
        (HolidaysForm, {"holidays": [{"day": "2026-12-25", "name": "x", "opens": "09:00"}]}, "/holidays/0"),
        (NumberForm, {"number": "910 000 000"}, "/number"),
        (NumberForm, {"number": "+34910000000\n"}, "/number"),
        (NumberForm, {"number": "+٣٤٩١٠٠٠٠٠٠٠"}, "/number"),
        (NumberForm, {"number": "+34910000000", "trunk": "*"}, "/trunk"),
        (NumberForm, {"number": "+34910000000", "carrier_account": "a b"}, "/carrier_account"),
        (NumberForm, {"number": "+34910000000", "carrier_account": "ab\n"}, "/carrier_account"),
        (TrunkForm, {**TRUNK, "allowed_addresses": ["0.0.0.0/0"]}, "/allowed_addresses/0"),
        (TrunkForm, {**TRUNK, "allowed_addresses": ["sbc.example"]}, "/allowed_addresses/0"),
        (TrunkForm, {**TRUNK, "auth_username": "x"}, ""),
        (AgentForm, {"max_concurrent_calls": 0}, "/max_concurrent_calls"),
        (AgentForm, {"outside_hours": "sing"}, "/outside_hours"),
        (AgentForm, {"providers": {"stt": [{"endpoint": "Ear"}]}}, "/providers/stt/0/endpoint"),
        (AgentForm, {"providers": {"stt": [{"endpoint": "ear\n"}]}}, "/providers/stt/0/endpoint"),
        (AgentForm, {"providers": {"llm": [{"model": "m"}]}}, "/providers/llm/0/endpoint"),
        (AgentForm, {"providers": {"llm": [{"endpoint": "a", "api_key": "k"}]}}, "/providers/llm/0/api_key"),
        (AgentForm, {"providers": {"llm": [{"endpoint": "a", "base_url": "u"}]}}, "/providers/llm/0/base_url"),
        (AgentForm, {"providers": {"tts": [{"endpoint": "a", "deadline_ms": 99}]}}, "/providers/tts/0/deadline_ms"),
        (AgentForm, {"providers": {"tts": [{"endpoint": "a"}] * 5}}, "/providers/tts"),
        (AgentForm, {"providers": {"embeddings": [{"endpoint": "a"}]}}, "/providers/embeddings"),
        (AgentForm, {"providers": {"vision": []}}, "/providers/vision"),
    ],
)
def test_wrong_fields(form: type[Form], body: dict[str, Any], pointer: str) -> None:
    found = problems(form, body)
    assert set(found) == {pointer}
    assert found[pointer].detail
    assert found[pointer].fix
    assert "{" not in found[pointer].fix, "no template is left open"
    assert "JSON object" not in found[pointer].detail


@pytest.mark.parametrize(
    ("form", "body", "contract"),
    [
        (TenantForm, TENANT, NewTenant),
        (LocationForm, {"name": "A", "hours": [{"day": "sunday", "opens": "00:00", "closes": "23:59"}]}, NewLocation),
        (HolidaysForm, {"holidays": [{"day": "2026-12-25", "name": "Navidad"}]}, SetHolidays),
        (NumberForm, {"number": "+34910000000", "trunk": "019a9b6c-1d2e-7f30-8a4b-5c6d7e8f9a0b"}, NewNumber),
        (TrunkForm, {**TRUNK, "auth_username": "u", "auth_password": "p"}, ConnectTrunk),
        (AgentForm, {}, AgentConfiguration),
        (AgentForm, {"providers": {"llm": [{"endpoint": "a"}], "embeddings": {"endpoint": "a"}}}, AgentConfiguration),
    ],
)
def test_right_forms_become_their_contract(form: type[Form], body: dict[str, Any], contract: Any) -> None:
    made = form.model_validate_json(json.dumps(body)).to(contract)
    assert isinstance(made, contract)


def test_a_trunk_travels_as_a_token() -> None:
    form = NumberForm.model_validate({"number": "+34910000000", "trunk": "019A9B6C-1D2E-7F30-8A4B-5C6D7E8F9A0B"})
    assert form.trunk == "019a9b6c1d2e7f308a4b5c6d7e8f9a0b"


def test_an_agent_without_fields_is_the_contracts_default() -> None:
    """The public defaults are written down twice; they must not drift apart."""
    assert AgentForm().to(AgentConfiguration) == AgentConfiguration()


@pytest.mark.parametrize(
    ("error", "status", "forbidden"),
    [
        (ValueError("secret"), 500, "secret"),
        (InternalError("secret"), 500, "secret"),
        (NoResponder("nobody serves rag.search/1"), 503, "rag"),
        (DeadlineExceeded("rag.search/1 did not answer"), 504, "rag"),
        (SealError("other tenant"), 503, "other"),
    ],
)
def test_what_is_not_told(error: Exception, status: int, forbidden: str) -> None:
    problem = problem_for(error, "abc")
    body = json.loads(problem.body)
    assert (problem.status, body["status"]) == (status, status)
    assert forbidden not in problem.body.decode()
    assert body["instance"] == "urn:switchboard:request:abc"
    assert ("retry-after" in problem.headers) == body["retryable"] == (status != 500)


def test_ours_are_told_as_they_are() -> None:
    body = json.loads(problem_for(InvalidInput("no", fields=[FieldProblem("/a", "b", "c")]), None).body)
    assert body["errors"] == [{"pointer": "/a", "detail": "b", "fix": "c"}]
    assert problem_for(NotAuthenticated(), None).headers["www-authenticate"] == "Bearer"
