"""One trace from the HTTP request to the last handler, over the real bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from api_gateway.testing import Peers, RunningGateway, Tenant
from switchboard.bus import Call
from switchboard.contracts import calls
from switchboard.contracts.base import Contract
from switchboard.errors import NotFound
from switchboard.settings import TelemetrySettings
from switchboard.telemetry.traces import configure_traces

pytestmark = pytest.mark.integration


@pytest.fixture
def spans_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "spans.jsonl"
    tracing = configure_traces("test", TelemetrySettings.model_validate({"spans_file": path}))
    yield path
    tracing.shutdown()


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_one_trace(spans_file: Path, gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    async def get(body: Contract, call: Call) -> Contract:
        raise NotFound

    peers.answer(calls.GET_CALL, get)
    call_id = uuid4()
    foreign = "00-11111111111111111111111111111111-2222222222222222-01"

    await gateway.http.get(f"/v1/calls/{call_id}?x=+34600000000", headers={**tenant.headers, "traceparent": foreign})

    by_name = {span["name"]: span for span in read(spans_file)}
    http = by_name["GET /v1/calls/{call_id}"]
    request, served = by_name["request calls.get/1"], by_name["serve calls.get/1"]
    assert http["parent_span_id"] is None, "a trace that a stranger sends is not continued"
    assert request["parent_span_id"] == http["span_id"]
    assert served["parent_span_id"] == request["span_id"]
    assert {http["trace_id"], request["trace_id"], served["trace_id"]} == {http["trace_id"]}
    assert by_name["serve tenants.authenticate/1"]["trace_id"] == http["trace_id"]
    text = json.dumps([http, request, served])
    assert "34600000000" not in text
    assert call_id.hex not in text.replace("-", "")
    assert http["attributes"]["http.response.status_code"] == 404
