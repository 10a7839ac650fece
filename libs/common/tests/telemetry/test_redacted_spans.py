"""Spans of libraries that trace by themselves lose what they must not hold before they leave the process."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from switchboard.telemetry.traces import Redacted

pytestmark = pytest.mark.unit


def test_numbers_are_masked_and_personal_attributes_left_out() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Redacted(kept)))
    tracer = provider.get_tracer("a library")
    with tracer.start_as_current_span("room call_15550001111_x") as parent:
        parent.set_attribute("lk.sip.trunkPhoneNumber", "+15550001111")
        parent.set_attribute("lk.pii.user_input", "my tooth hurts")
        parent.set_attribute("lk.job_id", "AJ_1")
        parent.add_event("exception", {"exception.message": "my tooth hurts"})
        with tracer.start_as_current_span("child"):
            assert trace.get_current_span() is not parent

    child, root = kept.get_finished_spans()
    text = repr([root.name, dict(root.attributes or {}), root.events, child.name])
    assert "15550001111" not in text
    assert "tooth" not in text
    assert dict(root.attributes or {})["lk.job_id"] == "AJ_1"
    assert child.parent is not None
    assert root.context is not None
    assert child.parent.span_id == root.context.span_id
