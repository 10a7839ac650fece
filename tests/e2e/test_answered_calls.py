"""A real call through the whole fleet, judged by what the caller heard, and the record that it leaves."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fleet.call import agent_judge
from fleet.e2e import RunningFleet
from fleet.onboarding import AGENT_VOICE
from fleet.speech import Synthesizer

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(600)]

CALLER = "15557777777"


async def test_a_caller_hears_what_only_this_clinics_documents_say(running_fleet: RunningFleet, tmp_path: Path) -> None:
    """PDF, FAQ, nothing, and an interruption, with prices drawn for this test; then record, trace and silence of logs."""
    async with running_fleet.clinic(seed=20261) as (api, clinic):
        judge = agent_judge(Synthesizer(tmp_path / "judge"), AGENT_VOICE)
        outcome = await running_fleet.good_call(api, clinic, judge)

        record = outcome.record
        assert record is not None
        assert record.call.end_reason == "caller_hung_up"
        assert record.turns[0].kind == "greeting"
        answered = [turn for turn in record.turns if turn.kind == "answered"]
        assert answered
        for turn in answered:
            cited = [passage for passage in turn.passages if passage.cited]
            assert len(cited) <= 1
            marks = turn.timings
            assert marks.speech_ended is not None
            assert marks.end_of_turn is not None
            assert marks.first_audio is not None
            assert marks.speech_ended <= marks.end_of_turn <= marks.first_audio
        assert any(turn.interrupted and len(turn.caller_heard) < len(turn.agent_said) for turn in record.turns)

        spans = await spans_of_a_job(running_fleet)
        check_one_trace(spans)
        secrets = [CALLER, clinic.number.removeprefix("+"), clinic.name, *(t.name for t in clinic.treatments)]
        check_silence(running_fleet, secrets)


async def spans_of_a_job(fleet: RunningFleet) -> list[dict[str, Any]]:
    """The record is closed before the job is: it still closes its session, which takes about two seconds."""
    async with asyncio.timeout(30):
        while not any(span["name"] == "call job" for span in read_spans(fleet)):
            await asyncio.sleep(0.1)
    return read_spans(fleet)


def read_spans(fleet: RunningFleet) -> list[dict[str, Any]]:
    folder = fleet.layout.folder / "spans"
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def check_one_trace(spans: list[dict[str, Any]]) -> None:
    """From the job that took the call, across the bus, to the last handler: one trace, every parent in it."""
    jobs = [span for span in spans if span["name"] == "call job"]
    assert jobs
    call = [span for span in spans if span["trace_id"] == jobs[-1]["trace_id"]]
    known = {span["span_id"] for span in call}
    assert {span["service"] for span in call} == {"voice-agent", "call-orchestrator", "rag-svc"}
    assert [span["name"] for span in call if span["parent_span_id"] is None] == ["job_entrypoint"]
    assert all(span["parent_span_id"] in known for span in call if span["parent_span_id"] is not None)
    names = {(span["service"], span["name"]) for span in call}
    for expected in (
        ("call-orchestrator", "serve calls.admit/1"),
        ("rag-svc", "serve rag.search/1"),
        ("call-orchestrator", "process calls.turn/1"),
        ("call-orchestrator", "process calls.ended/1"),
    ):
        assert expected in names
    uploads = {span["trace_id"] for span in spans if span["name"] == "POST /v1/documents"}
    handlers = {span["trace_id"] for span in spans if span["name"] == "process documents.uploaded/1"}
    assert handlers <= uploads
    assert handlers


OURS = ("api-gateway", "tenant-svc", "call-orchestrator", "rag-svc", "ingest-worker", "voice-agent", "sip")


def check_silence(fleet: RunningFleet, planted: list[str]) -> None:
    """What callers say and who they are stands in no log line and in no span of any process of ours."""
    files = [fleet.layout.logs / f"{name}.log" for name in OURS if name != "sip" or not fleet.layout.sip.real]
    files += list((fleet.layout.folder / "spans").glob("*.jsonl"))
    for path in files:
        text = path.read_text()
        assert text, f"{path.name} is empty: nothing was looked at"
        for secret in planted:
            assert secret.lower() not in text.lower(), f"{secret!r} stands in {path.name}"
