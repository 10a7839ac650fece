"""The shell around FastAPI, Litestar and no application at all."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Query
from litestar import Litestar, get
from pydantic import BaseModel
from switchboard.clock import ManualClock
from switchboard.errors import FieldProblem, InvalidInput, NotFound
from switchboard.service import ASGIApp, Health
from switchboard.service.asgi import Shell
from switchboard.service.fastapi_problems import fastapi_app
from switchboard.service.litestar_problems import problem_handlers
from switchboard.settings import TelemetrySettings
from switchboard.telemetry import Metrics, Telemetry, setup

pytestmark = pytest.mark.unit


class Body(BaseModel):
    hours: list[int]


def fastapi_sample() -> ASGIApp:
    app = fastapi_app()

    @app.get("/things/{thing_id}")
    async def read(thing_id: str, limit: Annotated[int, Query(le=5)] = 1) -> dict[str, str]:
        return behave(thing_id)

    @app.post("/things")
    async def make(body: Body) -> None:
        return None

    return app


def litestar_app() -> ASGIApp:
    @get("/things/{thing_id:str}")
    async def read(thing_id: str, limit: int = 1) -> dict[str, str]:
        return behave(thing_id)

    return Litestar(route_handlers=[read], exception_handlers=problem_handlers(), logging_config=None)


def behave(thing_id: str) -> dict[str, str]:
    if thing_id == "absent":
        raise NotFound("there is no such thing")
    if thing_id == "wrong":
        raise InvalidInput("bad", fields=[FieldProblem("/name", "is empty", "write a name")])
    if thing_id == "crash":
        raise ZeroDivisionError("the caller said +441632960961")
    return {"id": thing_id}


@pytest.fixture
def lines(tmp_path: Path) -> Any:
    """The log lines of the test, parsed."""
    stream = io.StringIO()
    telemetry: Telemetry = setup("sample", TelemetrySettings(spans_file=tmp_path / "spans.jsonl"), stream=stream)

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    telemetry.shutdown()


def shell_around(app: ASGIApp | None, health: Health | None = None, *, trust: bool = True) -> Shell:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return Shell(app, health or Health(), Metrics(), clock, trust_inbound_trace=trust)


@pytest.fixture(params=[fastapi_sample, litestar_app], ids=["fastapi", "litestar"])
async def web(request: pytest.FixtureRequest, lines: object) -> AsyncIterator[httpx.AsyncClient]:
    build: Callable[[], ASGIApp] = request.param
    transport = httpx.ASGITransport(shell_around(build()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_an_answer_passes_through_with_a_request_id(web: httpx.AsyncClient) -> None:
    answer = await web.get("/things/7", headers={"x-request-id": "abcdef-123456"})

    assert (answer.status_code, answer.json()) == (200, {"id": "7"})
    assert answer.headers["x-request-id"] == "abcdef-123456"


@pytest.mark.parametrize("hostile", ["441632960961", "short", "a" * 65, "x y z w v u"])
async def test_a_request_id_that_could_be_a_number_or_break_a_log_is_replaced(
    web: httpx.AsyncClient, hostile: str
) -> None:
    answer = await web.get("/things/7", headers={"x-request-id": hostile})
    assert answer.headers["x-request-id"] != hostile


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/things/absent", 404, "not-found"),
        ("/things/wrong", 422, "invalid-input"),
        ("/things/crash", 500, "internal"),
        ("/nowhere", 404, "not-found"),
        ("/things/7?limit=secret", None, "invalid-input"),
    ],
)
async def test_every_error_is_a_problem(web: httpx.AsyncClient, path: str, status: int | None, code: str) -> None:
    answer = await web.get(path)

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == (status or 422)
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:switchboard:problem:{code}"
    assert problem["instance"] == f"urn:switchboard:request:{answer.headers['x-request-id']}"
    assert "secret" not in answer.text
    assert "1632960961" not in answer.text


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(web: httpx.AsyncClient) -> None:
    answer = await web.delete("/things/7")

    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert "GET" in answer.headers["allow"]


async def test_a_wrong_field_is_named_by_its_pointer() -> None:
    transport = httpx.ASGITransport(shell_around(fastapi_sample()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/things", json={"hours": [1, "noon"]})

    assert [field["pointer"] for field in answer.json()["errors"]] == ["/hours/1"]


async def test_the_access_log_and_the_metrics_name_the_route_and_never_the_address(
    web: httpx.AsyncClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    await web.get("/things/441632960961?phone=%2B441632960961")
    await web.get("/health/ready")
    exported = (await web.get("/metrics")).text

    logged = [line for line in lines() if line["event"] == "request"]
    assert [(line["method"], line["route"], line["status"]) for line in logged] == [
        ("GET", logged[0]["route"], 422 if logged[0]["status"] == 422 else 200)
    ]
    assert logged[0]["route"].startswith("/things/{thing_id")
    assert "1632960961" not in json.dumps(lines()) + exported
    assert 'http_route="/things/{thing_id' in exported


async def test_a_crash_is_logged_without_what_the_exception_quotes(
    web: httpx.AsyncClient, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    await web.get("/things/crash")
    assert "1632960961" not in json.dumps(lines())


async def test_a_request_carries_on_the_callers_trace_unless_told_not_to(
    tmp_path: Path, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    parent = {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}
    for trust in (True, False):
        transport = httpx.ASGITransport(shell_around(litestar_app(), trust=trust))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await client.get("/things/7", headers=parent)

    spans = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    assert [span["name"] for span in spans] == ["GET /things/{thing_id}"] * 2
    assert spans[0]["trace_id"] == "0123456789abcdef0123456789abcdef"
    assert spans[0]["parent_span_id"] == "0123456789abcdef"
    assert spans[1]["parent_span_id"] is None
    assert lines()[0]["trace_id"] == spans[0]["trace_id"]


async def test_without_an_application_there_is_health_and_nothing_else() -> None:
    transport = httpx.ASGITransport(shell_around(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/anything")).status_code == 404


async def test_readiness_fails_for_what_is_required_and_tells_of_what_is_degraded() -> None:
    broken: set[str] = set()
    health = Health()

    def check(name: str) -> Callable[[], Any]:
        async def run() -> None:
            if name in broken:
                raise RuntimeError("away")

        return run

    health.required("postgres", check("postgres"))
    health.degradable("nats", check("nats"))
    transport = httpx.ASGITransport(shell_around(None, health))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def ready() -> tuple[int, dict[str, Any]]:
            answer = await client.get("/health/ready")
            return answer.status_code, answer.json()

        assert await ready() == (200, {"status": "ready", "failed": [], "degraded": []})
        broken.add("nats")
        assert await ready() == (200, {"status": "degraded", "failed": [], "degraded": ["nats"]})
        broken.add("postgres")
        assert await ready() == (503, {"status": "failed", "failed": ["postgres"], "degraded": ["nats"]})
        health.draining = True
        assert (await ready())[0] == 503
