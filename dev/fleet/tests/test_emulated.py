"""The stand-ins of paid providers as a part of the fleet: what each service is told, and what counts as used."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from emulators.behaviour import Face
from emulators.record import Asked, Request
from fleet.draw import draw_clinic
from fleet.emulated import ASKED, CHAINS, KINDS, EmulatedProviders, complaints, parse, words_of
from fleet.process import FleetError
from switchboard.contracts.providers import ProviderChains
from switchboard.settings import ProviderKinds, ProviderSettings

pytestmark = pytest.mark.unit

PLACE = EmulatedProviders(8100, 8101, "key-of-all")


def asked(**requests: int) -> dict[Face, Asked]:
    return {face: Asked(requests=requests.get(face, 1)) for face in get_args(Face)}


@pytest.mark.parametrize("service", ["voice-agent", "rag-svc", "ingest-worker"])
def test_a_service_that_calls_providers_is_told_where_they_are(service: str) -> None:
    told = json.loads(PLACE.environment(service)["SWITCHBOARD_PROVIDERS__ENDPOINTS"])

    endpoints = ProviderSettings.model_validate({"endpoints": told}).endpoints
    assert {name: one.kind for name, one in endpoints.items()} == KINDS
    assert all(one.base_url.startswith("http://127.0.0.1:8100") for one in endpoints.values())
    assert {one.api_key.get_secret_value() for one in endpoints.values()} == {"key-of-all"}


def test_tenant_svc_gets_no_key_and_no_address() -> None:
    environment = PLACE.environment("tenant-svc")

    assert (
        ProviderKinds.model_validate({"kinds": json.loads(environment["SWITCHBOARD_PROVIDERS__KINDS"])}).kinds == KINDS
    )
    assert "key-of-all" not in str(environment)
    assert "8100" not in str(environment)


@pytest.mark.parametrize("service", ["api-gateway", "call-orchestrator"])
def test_the_others_are_told_nothing(service: str) -> None:
    assert PLACE.environment(service) == {}


def test_the_clinics_choice_is_one_that_can_be_made() -> None:
    chains = ProviderChains.model_validate(CHAINS)

    assert {one.endpoint for one in (*chains.stt, *chains.llm, *chains.tts)} <= set(KINDS)


def test_the_key_is_not_on_the_command_line() -> None:
    spec = PLACE.spec()

    assert "key-of-all" not in spec.argv
    assert spec.env["EMULATORS_KEY"] == "key-of-all"
    assert "key-of-all" not in repr(PLACE)


def test_the_ear_is_taught_every_price_and_answer() -> None:
    clinic = draw_clinic(11)
    taught = "\n".join(words_of(clinic))

    assert all(f"| {one.name} | {one.minutes} min | ${one.price} |" in taught for one in clinic.treatments)
    assert all(entry.answer in taught for entry in clinic.faq)


def test_a_call_that_used_every_provider_is_fine() -> None:
    assert complaints(asked()) == []


@pytest.mark.parametrize("face", ASKED)
def test_a_provider_that_was_never_asked_is_a_complaint(face: Face) -> None:
    assert complaints(asked(**{face: 0})) == [f"the emulated {face} was never asked"]


def test_a_refused_request_is_a_complaint() -> None:
    refused = Request(at=0, what="/v1/listen", fields={}, refused="Unknown query parameter: langauge")
    found = {**asked(), "deepgram": Asked(requests=1, refused=1, last=(refused,))}

    assert complaints(found) == ["the emulated deepgram refused a request: Unknown query parameter: langauge"]


def test_providers_are_emulated_or_not_named() -> None:
    assert parse("emulated")
    assert not parse(None)
    assert not parse("")
    with pytest.raises(FleetError, match="PROVIDERS=emulated"):
        parse("emulatd")
