"""The client of OpenAI-compatible embeddings, on answers that no good provider gives. Real sockets: the emulators' tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from switchboard.contracts.providers import ProviderChoice
from switchboard.embeddings import Embedders, EmbeddingFailed, Vector, endpoint_of
from switchboard.settings import ProviderEndpoint, TelemetrySettings
from switchboard.telemetry import setup, span

pytestmark = pytest.mark.unit

SPACE = "main:small"
Answer = Callable[[httpx.Request], httpx.Response]


class Offline:
    model = "words"
    dimensions = 384

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [np.ones(384, dtype=np.float32) for _ in texts]


class Server:
    """Gives the answers one after the other, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


def status(code: int, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request: httpx.Response(code, headers=named, json={"error": {"message": "no"}})


def raising(error: Exception) -> Answer:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    return answer


def data(*items: tuple[int, list[Any]]) -> Answer:
    content = {"object": "list", "data": [{"index": index, "embedding": embedding} for index, embedding in items]}
    return lambda _request: httpx.Response(200, content=json.dumps(content).encode())


def raw(content: bytes) -> Answer:
    return lambda _request: httpx.Response(200, content=content)


def vector(value: float, at: int = 0) -> list[Any]:
    return [value if place == at else 0.0 for place in range(384)]


GOOD = data((0, vector(1.0)))


async def embed(server: Server, texts: Sequence[str], deadline_s: float = 5.0, space: str = SPACE) -> list[Vector]:
    endpoints = {
        "main": ProviderEndpoint(kind="openai", base_url="http://provider.example/v1/", api_key=SecretStr("k-1")),
        "ear": ProviderEndpoint(kind="deepgram", base_url="http://ear.example", api_key=SecretStr("k-2")),
    }
    async with Embedders.open(Offline(), endpoints, transport=httpx.MockTransport(server)) as embedders:
        return await embedders.embed(space, texts, deadline_s)


async def failure(server: Server, texts: Sequence[str] = ("a",), deadline_s: float = 5.0) -> EmbeddingFailed:
    with pytest.raises(EmbeddingFailed) as caught:
        await embed(server, texts, deadline_s)
    return caught.value


async def test_what_is_asked_and_how_the_answer_is_read() -> None:
    server = Server(data((1, vector(2.0, at=1)), (0, vector(0.5))))

    vectors = await embed(server, ["how much", ""])

    (request,) = server.requests
    assert (request.method, str(request.url)) == ("POST", "http://provider.example/v1/embeddings")
    assert request.headers["authorization"] == "Bearer k-1"
    assert server.bodies() == [
        {"model": "small", "input": ["how much", " "], "dimensions": 384, "encoding_format": "float"}
    ]
    assert [found.tolist() for found in vectors] == [vector(1.0), vector(1.0, at=1)], "by index, of unit length"
    assert all(found.dtype == np.float32 for found in vectors)


async def test_a_provider_is_not_told_of_our_traces() -> None:
    telemetry = setup("test", TelemetrySettings())
    server = Server(GOOD)
    with span("search") as current:
        assert current.is_recording()
        await embed(server, ["a"])
    telemetry.shutdown()
    assert "traceparent" not in server.requests[0].headers


async def test_no_texts_ask_nobody() -> None:
    server = Server(GOOD)
    assert await embed(server, []) == []
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "fault", "may_pass"),
    [
        (data((0, [1.0] * 383)), "bad_answer", False),
        (data((0, [1.0] * 1536)), "bad_answer", False),
        (data((0, vector(float("nan")))), "bad_answer", False),
        (data((0, vector(float("inf")))), "bad_answer", False),
        (data((0, vector(0.0))), "bad_answer", False),
        (data((0, ["1.0"] * 384)), "bad_answer", False),
        (data((0, [True] * 384)), "bad_answer", False),
        (data(), "bad_answer", False),
        (data((0, vector(1.0)), (1, vector(1.0))), "bad_answer", False),
        (data((1, vector(1.0))), "bad_answer", False),
        (data((0, vector(1.0)), (0, vector(1.0))), "bad_answer", False),
        (raw(b'{"choices": []}'), "bad_answer", False),
        (raw(b"\x00garbage}"), "bad_answer", False),
        (raw(b'{"object": "list", "data": [{"index": 0, "embed'), "cut_off", True),
        (raw(b""), "cut_off", True),
        (status(400), "refused", False),
        (status(401), "refused", False),
        (status(302), "refused", False),
        (status(500), "refused", True),
        (status(429), "rate_limited", True),
        (raising(httpx.ConnectError("no")), "refused", True),
        (raising(httpx.ReadError("reset")), "reset", True),
        (raising(httpx.RemoteProtocolError("gone")), "reset", True),
        (raising(httpx.ConnectTimeout("slow")), "timeout", True),
    ],
)
async def test_what_goes_wrong_is_told_apart(answer: Answer, fault: str, may_pass: bool) -> None:
    server = Server(answer)
    failed = await failure(server)
    assert (failed.endpoint, failed.fault, failed.may_pass) == ("main", fault, may_pass)
    assert len(server.requests) == (2 if may_pass else 1)
    assert "k-1" not in str(failed)


async def test_a_reply_that_never_ends_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchboard.embeddings.openai.MAX_REPLY_BYTES", 1000)
    sent: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(100)
            yield b" " * 100

    failed = await failure(Server(lambda _request: httpx.Response(200, content=endless())))
    assert failed.fault == "bad_answer"
    assert sum(sent) <= 1200


async def test_a_body_that_breaks_off_is_cut_off() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'{"data": ['
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    assert (await failure(Server(lambda _request: httpx.Response(200, content=broken())))).fault == "cut_off"


@pytest.mark.parametrize("first", [status(429), status(503), raising(httpx.ReadError("reset"))])
async def test_what_may_pass_is_tried_once_more(first: Answer) -> None:
    server = Server(first, GOOD)
    assert len(await embed(server, ["a"])) == 1
    assert len(server.requests) == 2


async def test_a_second_try_that_can_not_end_in_time_is_not_made() -> None:
    server = Server(status(429, retry_after="30"), GOOD)
    loop = asyncio.get_running_loop()
    started = loop.time()

    failed = await failure(server, deadline_s=2.0)

    assert (failed.fault, len(server.requests)) == ("rate_limited", 1)
    assert loop.time() - started < 2.0, "it does not wait for nothing"
    assert len(await embed(Server(status(429, retry_after="0"), GOOD), ["a"])) == 1
    nonsense = Server(status(429, retry_after="Fri, 20 Nov 2026 00:00:00 GMT"), GOOD)
    assert len(await embed(nonsense, ["a"])) == 1


async def test_the_deadline_is_for_everything_together() -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    failed = await failure(Server(lambda _request: httpx.Response(200, content=slow())), deadline_s=0.1)
    assert failed.fault == "timeout"
    server = Server(GOOD)
    assert (await failure(server, deadline_s=0.0)).fault == "timeout"
    assert server.requests == []


async def test_spaces_are_named_by_endpoint_and_model() -> None:
    embedders = Embedders(Offline())
    assert embedders.space(None) == embedders.space(ProviderChoice(endpoint="offline")) == embedders.offline == "words"
    assert embedders.space(ProviderChoice(endpoint="main")) == "main:text-embedding-3-small"
    assert embedders.space(ProviderChoice(endpoint="main", model="vendor/m:7")) == "main:vendor/m:7"
    assert [endpoint_of(space) for space in ("words", "main:vendor/m:7")] == ["offline", "main"]


async def test_offline_asks_nobody_and_needs_no_time() -> None:
    server = Server(GOOD)
    assert len(await embed(server, ["a", "b"], deadline_s=0.0, space="words")) == 2
    assert server.requests == []


@pytest.mark.parametrize("space", ["ear:nova", "gone:small", "another-model"])
async def test_an_endpoint_that_can_not_embed_fails_and_is_counted(space: str) -> None:
    told: list[tuple[str, str]] = []
    embedders = Embedders(Offline(), {}, on_fault=lambda endpoint, fault: told.append((endpoint, fault)))
    with pytest.raises(EmbeddingFailed) as caught:
        await embedders.embed(space, ["a"], 1.0)
    assert not caught.value.may_pass
    assert told == [(endpoint_of(space), "refused")]
    with pytest.raises(EmbeddingFailed):
        await embed(Server(GOOD), ["a"], space=space)
