"""Requests that Schemathesis draws from the OpenAPI document, well-formed and not: as our owner, as another clinic's owner
with our ids, and as nobody. Nothing breaks, and nothing that our clinic wrote is shown.

``DRAWN_REQUESTS`` is how many of each kind are drawn for an operation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from api_gateway.app import bare_app
from fleet.actors import CANARY, Town
from fleet.prove import Tried
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

COUNT = int(os.environ.get("DRAWN_REQUESTS", "2"))
CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance]
ENDLESS = {"GET /v1/live/events"}
"""Asked in the matrix of who may do what: its answer has no end."""

SCHEMA = schemathesis.openapi.from_dict(bare_app().openapi())
Case = Any
"""A drawn request; Schemathesis' own type has parameters of its inside."""
OPERATIONS: dict[str, Any] = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}  # type: ignore[union-attr]
KINDS = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def drawn(operation: str) -> list[Case]:
    """The same at every run."""
    cases: list[Case] = []
    for kind in KINDS:

        @seed(7)
        @settings(
            max_examples=COUNT,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=OPERATIONS[operation].as_strategy(generation_mode=kind))
        def collect(case: Case) -> None:
            cases.append(case)

        try:
            collect()
        except Unsatisfiable:
            continue  # nothing can be wrong about a request without parameters
    return cases


async def sent(town: Town, case: Case, headers: Mapping[str, str]) -> Any:
    """With our credentials in the place of drawn ones."""
    for name in [
        name for name in case.headers if name.lower() in ("authorization", "cookie", "sec-fetch-site", "origin")
    ]:
        del case.headers[name]
    case.cookies = {}
    base_url = town.stack.gateway.base_url
    return await asyncio.to_thread(case.call, base_url=base_url, headers=dict(headers), timeout=20)


async def complaints(town: Town, case: Case, headers: Mapping[str, str], *, stranger: bool) -> list[str]:
    label = case.operation.label
    response = await sent(town, case, headers)
    found = []
    try:
        case.validate_response(response, checks=CHECKS)
    except BaseExceptionGroup as failed:
        found += [f"{label}: {error}" for error in failed.exceptions]
    except AssertionError as failed:
        found.append(f"{label}: {failed}")
    shown = response.text + str(response.headers)
    if stranger and CANARY in shown:
        found.append(f"{label}: shows {shown[:300]}")
    if stranger and case.path_parameters and response.status_code < 400:
        found.append(f"{label}: {response.status_code} with our id")
    return found


async def state(town: Town) -> dict[str, Any]:
    """What our clinic has, as its owner sees it."""
    owner = await town.owner()
    paths = (
        "tenant",
        "documents?limit=200",
        "calls?limit=200",
        "members",
        "keys",
        "invitations",
        "support-access",
        "trunks",
    )
    found = {}
    for path in paths:
        response = await town.ask("GET", f"/v1/{path}", owner)
        assert response.status_code == 200
        found[path] = response.text
    return found


async def test_another_clinics_owner_with_our_ids_sees_and_changes_nothing(town: Town, record_property: Tried) -> None:
    names = ("call_id", "document_id", "key_id", "user_id", "session_id", "invitation_id", "access_id")
    ids = {name: await town.fresh(name) for name in names}
    before = await state(town)
    found: list[str] = []
    asked = 0
    for label in sorted(set(OPERATIONS) - ENDLESS):
        for case in drawn(label):
            for name in case.path_parameters:
                case.path_parameters[name] = str(ids[name])
            for name, value in _ids_of(town, ids).items():
                if isinstance(case.body, dict) and name in case.body:
                    case.body[name] = value
            found += await complaints(town, case, await town.headers("foreign_owner", ""), stranger=True)
            asked += 1
    assert found == []
    assert await state(town) == before
    record_property("drawn requests", asked)


def _ids_of(town: Town, ids: Mapping[str, UUID]) -> dict[str, str]:
    """What of ours a body may name."""
    return {"tenant_id": str(town.ours.tenant_id), "number": town.ours.number, "trunk": ids["key_id"].hex}


@pytest.mark.parametrize("actor", ["owner", "anonymous"])
async def test_nothing_that_is_drawn_breaks_anything(town: Town, actor: str, record_property: Tried) -> None:
    found: list[str] = []
    asked = 0
    for label in sorted(set(OPERATIONS) - ENDLESS):
        for case in drawn(label):
            headers = await town.headers(actor, "")
            found += await complaints(town, case, headers, stranger=actor == "anonymous")
            asked += 1
    assert found == []
    record_property("drawn requests", asked)


def test_enough_is_drawn_of_every_operation() -> None:
    few = {label: len(drawn(label)) for label in OPERATIONS}
    assert {label: count for label, count in few.items() if count < COUNT} == {}
    assert len(few) > 45
