"""In a real process, where the frameworks find a tracer provider, nothing of a request's words gets into a trace or log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.integration

FASTAPI = """
from switchboard.service import run
from switchboard.service.fastapi_problems import fastapi_app
from switchboard.settings import ServiceSettings, load_or_exit

async def compose(service):
    service.trust_inbound_trace = False
    app = fastapi_app()

    @app.get("/things/{thing_id}")
    async def read(thing_id: str, fail: bool = False):
        if fail:
            raise ValueError("my tooth hurts")
        return {}

    return app

run("sample", load_or_exit(ServiceSettings), compose)
"""

LITESTAR = """
from litestar import Litestar, get
from switchboard.service import run
from switchboard.service.litestar_problems import problem_handlers
from switchboard.settings import ServiceSettings, load_or_exit

@get("/things/{thing_id:str}")
async def read(thing_id: str, fail: bool = False) -> dict[str, str]:
    if fail:
        raise ValueError("my tooth hurts")
    return {}

async def compose(service):
    service.trust_inbound_trace = False
    return Litestar(route_handlers=[read], exception_handlers=problem_handlers(), logging_config=None)

run("sample", load_or_exit(ServiceSettings), compose)
"""


@pytest.mark.parametrize("source", [FASTAPI, LITESTAR], ids=["fastapi", "litestar"])
async def test_one_span_a_request_without_address_or_words(tmp_path: Path, source: str) -> None:
    program, spans_file = tmp_path / "program.py", tmp_path / "spans.jsonl"
    program.write_text(source)
    environment = {
        **os.environ,
        "SWITCHBOARD_HTTP__PORT": "0",
        "SWITCHBOARD_TELEMETRY__SPANS_FILE": str(spans_file),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    base = f"http://127.0.0.1:{json.loads(first)['port']}"
    inbound = {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}
    async with httpx.AsyncClient(headers=inbound) as client:
        answered = await client.get(f"{base}/things/441632960961?q=sore+gum")
        failed = await client.get(f"{base}/things/7?fail=true&q=sore+gum")
    process.send_signal(signal.SIGTERM)
    log = (await process.stdout.read()).decode()

    assert (answered.status_code, failed.status_code) == (200, 500)
    assert await process.wait() == 0
    text = spans_file.read_text()
    spans = [json.loads(line) for line in text.splitlines()]
    assert [span["attributes"]["http.response.status_code"] for span in spans] == [200, 500]
    assert {span["parent_span_id"] for span in spans} == {None}
    for private in ("441632960961", "sore", "tooth"):
        assert private not in text + log
    assert "ValueError" in log
