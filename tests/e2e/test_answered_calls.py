"""A real call through the whole fleet, judged by what the caller heard, the record that it leaves, and all else it leaves.

One trace from the job's start to the record; the times of its turns' stages; and nothing of what was said or who called in
logs, spans, metrics, subjects, keys and dead letters.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fleet.api import CallRecord, SwitchboardApi
from fleet.broker import broker, operators
from fleet.call import CALLER_NAME, CALLER_NUMBER, CallOutcome, agent_judge
from fleet.copies import metric, until
from fleet.draw import Clinic
from fleet.e2e import RunningFleet
from fleet.onboarding import AGENT_VOICE
from fleet.planted import FRAGMENT, Planted, found, places
from fleet.prove import Tried
from fleet.speech import Synthesizer
from nats.aio.client import Client
from switchboard.bus.deadletters import listing
from switchboard.bus.envelope import BROKER_ID, CONTRACT, MESSAGE_ID
from switchboard.bus.topology import DEAD_LETTERS, SNAPSHOTS, STREAM_OF
from switchboard.clock import SystemClock
from switchboard.contracts.calls import TurnRecorded, TurnTimings
from switchboard.ids import Ids
from voice_agent.calls.stages import STAGES, durations

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(600)]

STAGE = "voice_agent_turn_stage_duration_seconds"
CONFIGURATION = (f"KV_{SNAPSHOTS} ", STREAM_OF["config"] + " ")
"""Where a clinic's own words and number rest: what it publishes."""


async def test_a_caller_hears_what_only_this_clinics_documents_say(
    running_fleet: RunningFleet, tmp_path: Path, record_property: Tried
) -> None:
    """PDF, FAQ, nothing, and an interruption, with prices drawn for this test; then what the call has left."""
    async with running_fleet.clinic(seed=20261) as (api, clinic):
        judge = agent_judge(Synthesizer(tmp_path / "judge"), AGENT_VOICE)
        before, earlier = await stages(running_fleet), await calls_of(api)
        outcome = await running_fleet.good_call(api, clinic, judge)

        record = outcome.record
        assert record is not None
        check_record(record)
        check_one_trace(*await spans_of(running_fleet, UUID(record.call.call_id).hex))
        await check_stages(running_fleet, api, before, earlier)
        async with broker(operators(running_fleet.layout)) as client:
            await bury_two_facts(client, record)
            try:
                looked_at = await check_silence(running_fleet, outcome, record, clinic)
            finally:
                await client.jetstream().purge_stream(DEAD_LETTERS)
        record_property("places searched", looked_at)


def check_record(record: CallRecord) -> None:
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


# -- the trace ------------------------------------------------------------------------------------------------------


async def spans_of(fleet: RunningFleet, call_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All spans, and those of the trace in which the call's record was closed, once its job is over: it still closes its
    session then, which takes about two seconds."""
    async with asyncio.timeout(30):
        while True:
            spans = read_spans(fleet)
            closings = [
                span for span in spans if span["name"] == "close record" and span["attributes"]["call.id"] == call_id
            ]
            assert len(closings) <= 1, "a record is closed once"
            call = [span for span in spans if closings and span["trace_id"] == closings[0]["trace_id"]]
            if any(span["name"] == "job_entrypoint" for span in call):
                return spans, call
            await asyncio.sleep(0.1)


def read_spans(fleet: RunningFleet) -> list[dict[str, Any]]:
    folder = fleet.layout.folder / "spans"
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def check_one_trace(spans: list[dict[str, Any]], call: list[dict[str, Any]]) -> None:
    """From the job that took the call, across the bus, to the one write that closes its record: one trace, every parent in
    it, and each step the child of the one before."""
    known = {span["span_id"]: span for span in call}
    assert {span["service"] for span in call} == {"voice-agent", "call-orchestrator", "rag-svc"}
    assert [span["name"] for span in call if span["parent_span_id"] is None] == ["job_entrypoint"]
    assert all(span["parent_span_id"] in known for span in call if span["parent_span_id"] is not None)
    assert [span["name"] for span in call].count("call job") == 1

    def way(name: str, service: str) -> list[tuple[str, str]]:
        """From the first span of this name to the root, by parents."""
        at: dict[str, Any] | None = next(one for one in call if (one["name"], one["service"]) == (name, service))
        steps = []
        while at is not None:
            steps.append((at["service"], at["name"]))
            at = known.get(at["parent_span_id"])
        return steps

    record = way("close record", "call-orchestrator")
    assert record[:3] == [
        ("call-orchestrator", "close record"),
        ("call-orchestrator", "process calls.ended/1"),
        ("voice-agent", "publish calls.ended/1"),
    ]
    assert record[-2:] == [("voice-agent", "call job"), ("voice-agent", "job_entrypoint")]
    for handler, cause in (
        ("process calls.answered/1", "publish calls.answered/1"),
        ("process calls.turn/1", "publish calls.turn/1"),
        ("serve calls.admit/1", "request calls.admit/1"),
    ):
        assert way(handler, "call-orchestrator")[1] == ("voice-agent", cause)
    assert way("serve rag.search/1", "rag-svc")[1] == ("voice-agent", "request rag.search/1")
    uploads = {span["trace_id"] for span in spans if span["name"] == "POST /v1/documents"}
    handlers = {span["trace_id"] for span in spans if span["name"] == "process documents.uploaded/1"}
    assert handlers <= uploads
    assert handlers


# -- the times of its turns -----------------------------------------------------------------------------------------


async def stages(fleet: RunningFleet) -> dict[str, tuple[float, float]]:
    """How often each stage was counted, and its seconds."""
    one = partial(metric, fleet.layout, "voice-agent")
    return {
        stage: (await one(f"{STAGE}_count", stage=stage), await one(f"{STAGE}_sum", stage=stage)) for stage in STAGES
    }


async def calls_of(api: SwitchboardApi) -> set[str]:
    """Ids of the clinic's calls: other tests' too, where they have the same clinic."""
    return {call.call_id for call in (await api.list_calls()).calls}


async def check_stages(
    fleet: RunningFleet, api: SwitchboardApi, before: dict[str, tuple[float, float]], earlier: set[str]
) -> None:
    """The worker's histograms have grown by what the records of the clinic's new calls say, neither more nor less."""
    records = [await api.get_call(call_id) for call_id in await calls_of(api) - earlier]
    times: Counter[str] = Counter()
    seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    for turn in (turn for record in records for turn in record.turns):
        for stage, took in durations(TurnTimings.model_validate(turn.timings.model_dump())).items():
            times[stage] += 1
            seconds[stage] += took
    assert set(times) == set(STAGES), "a stage that no turn of the call has shows nothing"

    async def grown() -> bool:
        now = await stages(fleet)
        return all(now[stage][0] - before[stage][0] == times[stage] for stage in STAGES)

    await until(f"the stages are counted as often as the records say: {dict(times)}", grown)
    now = await stages(fleet)
    assert {stage: now[stage][1] - before[stage][1] for stage in STAGES} == pytest.approx(seconds, abs=0.01)


# -- what must be nowhere -------------------------------------------------------------------------------------------


async def bury_two_facts(client: Client, record: CallRecord) -> None:
    """A turn of the call that nobody can read, and one that its handler refuses once it has opened it: dead letters."""
    js, stream, ids = client.jetstream(), STREAM_OF["calls"], Ids(SystemClock())
    call, turn = UUID(record.call.call_id).hex, TurnRecorded.contract()
    last = (await js.stream_info(stream)).state.last_seq
    messages = [await js.get_msg(stream, sequence) for sequence in range(1, last + 1)]
    one = next(m for m in messages if (m.headers or {}).get(CONTRACT) == turn and call in (m.subject or ""))
    assert one.subject is not None
    unreadable = json.dumps(json.loads(one.data or b"") | {"turn": -1}).encode()
    for subject, payload in ((one.subject, unreadable), (one.subject.replace(call, ids.new().hex), one.data or b"")):
        fresh = ids.new().hex
        await js.publish(subject, payload, headers={**(one.headers or {}), MESSAGE_ID: fresh, BROKER_ID: fresh})

    async def buried() -> bool:
        return len(await listing(client)) >= 2

    await until("both facts are dead letters", buried)


async def check_silence(fleet: RunningFleet, outcome: CallOutcome, record: CallRecord, clinic: Clinic) -> int:
    """What callers say and who they are stands nowhere; nor do the clinic's number, name and words, but where it publishes
    them. How many places were looked at."""
    asked = [exchange.text for exchange in outcome.exchanges]
    heard = [hypothesis.text for turn in record.turns for hypothesis in turn.caller_said]
    said = [turn.agent_said for turn in record.turns]
    callers = [Planted("the caller's number", CALLER_NUMBER), Planted("the caller's name", CALLER_NAME)]
    callers += [Planted(f"the caller's sentence {text!r}", text) for text in (*asked, *heard) if is_told(text)]
    clinics = [Planted("the clinic's number", clinic.number), Planted("the clinic's name", clinic.name)]
    clinics += [Planted(f"the treatment {one.name!r}", one.name) for one in clinic.treatments]
    clinics += [Planted(f"the agent's sentence {text!r}", text) for text in said if is_told(text)]
    account = fleet.account(clinic)
    people = [Planted("the owner's address", account.email), Planted("the owner's password", account.password)]
    people += [Planted("the API key's secret", account.api_key.rpartition("_")[2])]
    assert len(callers) > 2 + len(record.turns) // 2
    assert len(clinics) > 2 + len(clinic.treatments) + 2

    left = await places(fleet.layout)
    assert {place.kind for place in left} == {"log", "span", "metric", "subject", "header", "body", "dead letter"}
    assert found(left, callers + people) == []
    unpublished = [one for one in left if one.kind != "body" or not one.name.startswith(CONFIGURATION)]
    assert found(unpublished, clinics) == []
    return len(left)


def is_told(text: str) -> bool:
    """Shorter ones are everybody's words."""
    return len(text.split()) >= FRAGMENT
