"""How long each stage of a turn took: measured in the call's own process, counted by its worker.

Nobody can scrape a job's process, and prometheus_client's way for several processes leaves a file for each call that was
ever taken and reads them all at every scrape. So a job tells its worker after each turn, in one datagram on a unix socket;
one that can't be delivered at once is lost, since a call never waits for a metric.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import structlog
from switchboard.contracts.calls import TurnTimings

from voice_agent.calls.sockets import bound, short
from voice_agent.conversation.models import TurnDone
from voice_agent.ports import Recorder

_log = structlog.get_logger(__name__)

STAGES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "transcript": (("speech_ended",), "transcript"),
    "end_of_turn": (("speech_ended",), "end_of_turn"),
    "retrieval": (("retrieval_started",), "retrieval_ended"),
    "first_token": (("end_of_turn",), "first_token"),
    # An answer that was begun in a pause has its first words before the turn is over, and waits for that.
    "first_audio": (("end_of_turn", "first_token"), "first_audio"),
    "response": (("speech_ended",), "first_audio"),
}
"""From the latest of the first marks to the last one, names of :class:`TurnTimings`. ``response`` is what a caller waits."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Bucket bounds: callers notice differences of a tenth of a second below one, and none above five."""

Observe = Callable[[str, float], None]
"""Takes a stage of :data:`STAGES` and seconds."""


def durations(timings: TurnTimings) -> dict[str, float]:
    """Seconds of each stage whose marks were all reached; 0 for what was there before it was waited for."""
    found: dict[str, float] = {}
    for stage, (first, last) in STAGES.items():
        began: list[datetime | None] = [getattr(timings, mark) for mark in first]
        ended: datetime | None = getattr(timings, last)
        known = [mark for mark in began if mark is not None]
        if ended is not None and len(known) == len(first):
            found[stage] = max(0.0, (ended - max(known)).total_seconds())
    return found


class StageTimes:
    """A job's side: a recorder of turns that tells the worker on ``path`` how long their stages took."""

    def __init__(self, recorder: Recorder, path: Path) -> None:
        self._recorder = recorder
        self._path = path
        self._socket: socket.socket | None = None

    def turn(self, done: TurnDone, state_json: str) -> None:
        self._recorder.turn(done, state_json)
        measured = durations(done.open.timings)
        if measured:
            self._tell(measured)

    def _tell(self, measured: dict[str, float]) -> None:
        try:
            if self._socket is None:
                self._socket = _connected(self._path)
            self._socket.send(json.dumps(measured).encode())
        except OSError as error:
            _log.warning("a turn's times are not counted", error=type(error).__name__)
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        with short(path) as name:
            made.connect(name)
    except OSError:
        made.close()
        raise
    return made


async def count_stages(path: Path, observe: Observe) -> None:
    """The worker's side: hears its jobs on ``path`` until cancelled."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Listener(observe), sock=bound(path, socket.SOCK_DGRAM)
    )
    try:
        await asyncio.Event().wait()
    finally:
        transport.close()


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, observe: Observe) -> None:
        self._observe = observe

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            measured = {str(stage): float(seconds) for stage, seconds in json.loads(data).items()}
        except (ValueError, TypeError, AttributeError):
            _log.error("a job's times of a turn can't be read")
            return
        for stage, seconds in measured.items():
            if stage in STAGES:  # a label takes its values from here and nowhere else
                self._observe(stage, seconds)
