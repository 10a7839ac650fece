from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from switchboard.settings import TelemetrySettings
from switchboard.telemetry import PROCESS, Metrics, context_headers, remote_span, setup, span, trace_ids

pytestmark = pytest.mark.unit


class Spans:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[Spans]:
    path = tmp_path / "deep" / "spans.jsonl"
    telemetry = setup("rag-svc", TelemetrySettings(spans_file=path))
    yield Spans(path)
    telemetry.shutdown()


def test_one_trace_crosses_a_message(spans: Spans) -> None:
    with span("publish"):
        headers = {"Other": "kept out", **context_headers()}
    with remote_span("handle", headers, attributes={"contract": "calls.turn/1"}), span("store"):
        pass

    publish, store, handle = spans.read()
    assert publish["trace_id"] == handle["trace_id"] == store["trace_id"]
    assert handle["parent_span_id"] == publish["span_id"]
    assert store["parent_span_id"] == handle["span_id"]
    assert (handle["service"], handle["kind"], handle["attributes"]) == (
        "rag-svc",
        "consumer",
        {"contract": "calls.turn/1"},
    )
    assert handle["end_ns"] >= handle["start_ns"]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}, {"traceparent": "00-0-0-00"}])
def test_headers_without_a_trace_begin_a_new_one(spans: Spans, headers: dict[str, str]) -> None:
    with span("outer"), remote_span("handle", headers):
        pass
    handle, outer = spans.read()
    assert handle["parent_span_id"] is None
    assert handle["trace_id"] != outer["trace_id"]


def test_header_names_are_read_in_any_case(spans: Spans) -> None:
    with remote_span("handle", {"Traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"}):
        assert trace_ids()["trace_id"] == "0123456789abcdef0123456789abcdef"


def test_a_failure_is_marked_by_its_type_and_its_message_left_out(spans: Spans) -> None:
    with pytest.raises(ValueError, match="tooth"), span("work"):
        raise ValueError("my tooth hurts")

    (failed,) = spans.read()
    assert failed["status"] == "error"
    assert failed["attributes"] == {"error.type": "ValueError"}
    assert "tooth" not in spans.path.read_text()


def test_outside_a_trace_there_is_nothing_to_send() -> None:
    assert context_headers() == {}
    assert trace_ids() == {}


def test_metrics_are_named_by_opentelemetrys_conventions() -> None:
    metrics = Metrics()
    metrics.counter("calls.admitted", "Calls admitted", ("outcome",)).labels("open").inc()
    metrics.histogram("rpc.server.duration", "RPC").observe(0.02)
    metrics.gauge("outbox.waiting", "Rows not sent").set(3)
    metrics.gauge("spool.size", "What waits", unit="By").set(4)
    text = metrics.render().decode()

    assert 'calls_admitted_total{outcome="open"} 1.0' in text
    assert 'rpc_server_duration_seconds_bucket{le="0.025"} 1.0' in text
    assert "outbox_waiting 3.0" in text
    assert "spool_size_bytes 4.0" in text
    assert "process_" in text


def test_what_modules_count_for_the_process_is_exported_by_every_service() -> None:
    PROCESS.counter("switchboard.test.things", "Things that this test counts").inc(2)
    assert "switchboard_test_things_total 2.0" in Metrics().render().decode()


@pytest.mark.parametrize("label", ["call_id", "phone", "user_id", "tenant_id", "room_sid", "subject"])
def test_labels_that_would_name_a_call_or_a_person_are_refused(label: str) -> None:
    with pytest.raises(ValueError, match=label):
        Metrics().counter("calls.admitted", "Calls", ("outcome", label))


@pytest.mark.parametrize("name", ["calls", "Calls.admitted", "calls-admitted", "calls.admitted total"])
def test_metric_names_are_dotted(name: str) -> None:
    with pytest.raises(ValueError, match="not a dotted"):
        Metrics().counter(name, "x")


@pytest.mark.parametrize("name", ["calls.total", "calls.admitted_total", "spool.bytes", "turn.seconds", "calls.count"])
def test_what_the_exported_name_gets_by_itself_is_no_part_of_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="by itself"):
        Metrics().gauge(name, "x")


def test_units_are_those_of_ucum() -> None:
    with pytest.raises(ValueError, match="not one of the units"):
        Metrics().gauge("spool.size", "x", unit="bytes")
