"""Times of a turn's stages: from marks to seconds, and from a job's process to its worker."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from switchboard.contracts.calls import TurnTimings
from voice_agent.calls.sockets import short
from voice_agent.calls.stages import STAGES, StageTimes, count_stages, durations
from voice_agent.conversation.models import OpenTurn, TurnDone

pytestmark = pytest.mark.integration

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FULL = {
    "speech_started": -2.0,
    "speech_ended": 0.0,
    "transcript": 0.3,
    "end_of_turn": 0.5,
    "retrieval_started": 0.5,
    "retrieval_ended": 0.75,
    "first_token": 1.0,
    "first_audio": 1.25,
    "speech_stopped": 4.0,
}


def timings(**seconds: float) -> TurnTimings:
    return TurnTimings(**{mark: START + timedelta(seconds=at) for mark, at in seconds.items()})


def done(marks: TurnTimings) -> TurnDone:
    opened = OpenTurn(utterance=1, kind="answered", timings=marks)
    return TurnDone(turn=1, open=opened, heard="", interrupted=False)


def test_every_stage_is_measured_between_its_marks() -> None:
    assert durations(timings(**FULL)) == {
        "transcript": 0.3,
        "end_of_turn": 0.5,
        "retrieval": 0.25,
        "first_token": 0.5,
        "first_audio": 0.25,
        "response": 1.25,
    }


def test_every_mark_of_a_stage_is_one_of_a_turns() -> None:
    marks = {mark for first, last in STAGES.values() for mark in (*first, last)}
    assert marks <= set(TurnTimings.model_fields)


@pytest.mark.parametrize("mark", ["speech_ended", "end_of_turn", "first_token", "first_audio", "retrieval_started"])
def test_a_stage_without_one_of_its_marks_is_not_counted(mark: str) -> None:
    measured = durations(timings(**{key: value for key, value in FULL.items() if key != mark}))
    touched = {stage for stage, (first, last) in STAGES.items() if mark in (*first, last)}
    assert touched
    assert measured.keys() == STAGES.keys() - touched


def test_what_was_there_before_it_was_waited_for_took_no_time() -> None:
    """An answer that was begun while the caller paused: its first words wait for the end of the turn."""
    measured = durations(timings(**FULL | {"transcript": -0.5, "first_token": 0.25, "first_audio": 0.75}))
    assert (measured["transcript"], measured["first_token"], measured["first_audio"]) == (0.0, 0.0, 0.25)


class Recorder:
    def __init__(self) -> None:
        self.turns: list[TurnDone] = []

    def turn(self, done: TurnDone, state_json: str) -> None:
        self.turns.append(done)


class Counted:
    """What a worker has heard."""

    def __init__(self) -> None:
        self.observed: list[tuple[str, float]] = []
        self._more = asyncio.Event()

    def __call__(self, stage: str, seconds: float) -> None:
        self.observed.append((stage, seconds))
        self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.observed) < count:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def worker(path: Path) -> AsyncIterator[Counted]:
    counted = Counted()
    counting = asyncio.create_task(count_stages(path, counted))
    try:
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(path.exists):
                await asyncio.sleep(0.01)
        yield counted
    finally:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting


async def test_a_jobs_turns_are_counted_by_its_worker(tmp_path: Path) -> None:
    path, recorder = tmp_path / ("deep" * 20) / "stages.sock", Recorder()
    async with worker(path) as counted:
        job = StageTimes(recorder, path)
        greeting, answer = done(timings(first_audio=0.1)), done(timings(**FULL))
        job.turn(greeting, "{}")
        job.turn(answer, "{}")
        await counted.until(len(STAGES))
        job.close()
    assert recorder.turns == [greeting, answer]
    assert dict(counted.observed) == durations(answer.open.timings)


async def test_a_worker_that_is_not_there_costs_the_call_nothing(tmp_path: Path) -> None:
    """And one that is back is told again."""
    path, recorder = tmp_path / "stages.sock", Recorder()
    job = StageTimes(recorder, path)
    job.turn(done(timings(**FULL)), "{}")
    for _ in range(2):
        async with worker(path) as counted:
            job.turn(done(timings(**FULL)), "{}")
            if not counted.observed:  # the first one after a restart finds the old socket closed
                job.turn(done(timings(**FULL)), "{}")
            await counted.until(len(STAGES))
    assert len(recorder.turns) >= 3
    job.close()


@pytest.mark.parametrize("nonsense", [b"\xff", b"[]", b'{"response": "soon"}', b'{"response": null}'])
async def test_what_cant_be_read_is_left_out(tmp_path: Path, nonsense: bytes) -> None:
    path = tmp_path / "stages.sock"
    broken: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context))
    async with worker(path) as counted:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, short(path) as name:
            for datagram in (nonsense, b'{"a caller": 1.0}', json.dumps({"response": 1.5}).encode()):
                other.sendto(datagram, name)
        await counted.until(1)
    assert counted.observed == [("response", 1.5)]
    assert broken == []
