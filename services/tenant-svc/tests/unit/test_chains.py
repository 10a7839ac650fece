from __future__ import annotations

from typing import Any

import pytest
from switchboard.contracts.providers import ProviderChains, ProviderKind
from tenant_svc.configuration.chains import chains_problems, offered

pytestmark = pytest.mark.unit

KINDS: dict[str, ProviderKind] = {
    "openai-main": "openai",
    "openai-spare": "openai",
    "ear": "deepgram",
    "voice-a": "elevenlabs",
    "voice-b": "cartesia",
}


def problems(**chains: Any) -> list[tuple[str, str, str]]:
    found = chains_problems(ProviderChains.model_validate(chains), KINDS)
    return [(problem.pointer, problem.detail, problem.fix) for problem in found]


def link(endpoint: str, **more: Any) -> dict[str, Any]:
    return {"endpoint": endpoint, **more}


@pytest.mark.parametrize(
    "chains",
    [
        {},
        {"stt": [link("ear", model="nova-3", deadline_ms=900)], "embeddings": link("openai-main")},
        {"llm": [link("openai-main"), link("openai-spare"), link("offline")], "embeddings": link("offline")},
        {"llm": [link("openai-main", model="large"), link("openai-main", model="small")]},
        {"tts": [link("voice-a", voice="v1"), link("voice-b", voice="v1"), link("openai-main", voice="alloy")]},
        {"stt": [link("offline")], "tts": [link("offline")]},
    ],
)
def test_chains_that_can_be_chosen(chains: dict[str, Any]) -> None:
    assert problems(**chains) == []


def test_an_unknown_endpoint_is_named_by_its_place_with_those_that_there_are() -> None:
    found = problems(stt=[link("ear"), link("eaar")], embeddings=link("nowhere"))
    assert found == [
        ("/providers/stt/1/endpoint", "is not a provider of this platform", "choose one of ear, offline"),
        (
            "/providers/embeddings/endpoint",
            "is not a provider of this platform",
            "choose one of openai-main, openai-spare, offline",
        ),
    ]


@pytest.mark.parametrize(
    ("stage", "endpoint", "serving"),
    [
        ("stt", "openai-main", "ear, offline"),
        ("llm", "ear", "openai-main, openai-spare, offline"),
        ("llm", "voice-a", "openai-main, openai-spare, offline"),
        ("tts", "ear", "openai-main, openai-spare, voice-a, voice-b, offline"),
    ],
)
def test_a_kind_that_can_not_serve_the_stage_is_refused(stage: str, endpoint: str, serving: str) -> None:
    [(pointer, detail, fix)] = problems(**{stage: [link(endpoint)]})
    assert pointer == f"/providers/{stage}/0/endpoint"
    assert detail == f"is of kind {KINDS[endpoint]}, which can't be used for {stage}"
    assert fix == f"choose one of {serving}"


def test_a_voice_can_not_make_embeddings() -> None:
    [(pointer, _, fix)] = problems(embeddings=link("voice-b"))
    assert pointer == "/providers/embeddings/endpoint"
    assert "voice" not in fix


def test_a_search_does_not_wait_long_for_its_vectors() -> None:
    assert problems(embeddings=link("openai-main", deadline_ms=1200)) == []
    found = problems(embeddings=link("openai-main", deadline_ms=1201))
    assert [pointer for pointer, _, _ in found] == ["/providers/embeddings/deadline_ms"]
    assert "1200" in found[0][2]


def test_the_same_link_twice_is_refused_whatever_its_deadline() -> None:
    found = problems(llm=[link("openai-main", deadline_ms=500), link("openai-spare"), link("openai-main")])
    assert [pointer for pointer, _, _ in found] == ["/providers/llm/2/endpoint"]
    assert "already" in found[0][1]


def test_offline_anywhere_but_last_is_refused() -> None:
    found = problems(tts=[link("offline"), link("voice-a")])
    assert [pointer for pointer, _, _ in found] == ["/providers/tts/0/endpoint"]
    assert "put it last" in found[0][2]


def test_offline_takes_no_model_and_no_voice() -> None:
    found = problems(tts=[link("offline", model="m", voice="v")], embeddings=link("offline", model="m"))
    assert [pointer for pointer, _, _ in found] == [
        "/providers/tts/0/model",
        "/providers/tts/0/voice",
        "/providers/embeddings/model",
    ]


def test_without_endpoints_only_offline_can_be_chosen() -> None:
    chains = ProviderChains.model_validate({"llm": [link("openai-main")]})
    [problem] = chains_problems(chains, {})
    assert problem.fix == "choose one of offline"


def test_what_is_offered_says_what_each_can_do_and_nothing_of_where_it_is() -> None:
    found = [(view.endpoint, view.kind, view.stages) for view in offered(KINDS).providers]
    assert found == [
        ("ear", "deepgram", ("stt",)),
        ("openai-main", "openai", ("llm", "tts", "embeddings")),
        ("openai-spare", "openai", ("llm", "tts", "embeddings")),
        ("voice-a", "elevenlabs", ("tts",)),
        ("voice-b", "cartesia", ("tts",)),
        ("offline", "offline", ("stt", "llm", "tts", "embeddings")),
    ]
