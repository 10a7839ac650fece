"""Faults and pace, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import get_args

import pytest
from emulators.behaviour import REFUSALS, Behaviour, Behaviours, Fault, FaultKind, Flow, Latency
from pydantic import ValidationError

pytestmark = pytest.mark.unit


class Heard:
    """A wire that writes down what happened to it."""

    def __init__(self) -> None:
        self.what: list[str] = []

    async def send(self, chunk: str) -> None:
        self.what.append(chunk)

    async def garbage(self) -> None:
        self.what.append("<garbage>")

    async def half(self) -> None:
        self.what.append("<half>")

    async def refuse(self, fault: Fault) -> None:
        self.what.append(f"<{fault.kind}>")

    def reset(self) -> None:
        self.what.append("<reset>")


async def chunks(of: Iterable[str]) -> AsyncIterator[str]:
    for chunk in of:
        yield chunk


def flow(fault: Fault | None) -> Flow:
    behaviours = Behaviours()
    behaviours.set("chat", Behaviour(faults=(fault,) if fault else ()))
    return behaviours.begin("chat")


async def test_without_a_fault_everything_is_sent() -> None:
    wire = Heard()

    assert await flow(None).play(chunks("abc"), wire)
    assert wire.what == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fault", "heard", "whole"),
    [
        (Fault(kind="reset"), ["a", "<reset>"], False),
        (Fault(kind="reset", after=0), ["<reset>"], False),
        (Fault(kind="reset", after=99), ["a", "b", "c", "<reset>"], False),
        (Fault(kind="half", after=2), ["a", "b", "<half>"], False),
        (Fault(kind="garbage"), ["a", "<garbage>", "b", "c"], True),
        (Fault(kind="error"), ["<error>"], False),
        (Fault(kind="rate_limited"), ["<rate_limited>"], False),
    ],
)
async def test_each_fault_strikes_where_it_should(fault: Fault, heard: list[str], whole: bool) -> None:
    wire = Heard()

    assert await flow(fault).play(chunks("abc"), wire) is whole
    assert wire.what == heard


async def test_a_stall_says_nothing_more_and_lets_others_know() -> None:
    wire, stalled = Heard(), flow(Fault(kind="stall", after=1))

    playing = asyncio.create_task(stalled.play(chunks("abc"), wire))
    await stalled.over.wait()

    assert wire.what == ["a"]
    assert not playing.done()
    playing.cancel()


def test_a_fault_counts_down_and_the_next_one_follows() -> None:
    behaviours = Behaviours()
    behaviours.set("chat", Behaviour(faults=(Fault(kind="stall", count=2), Fault(kind="error", count=1))))

    struck = [behaviours.begin("chat").fault for _ in range(4)]

    assert [fault.kind if fault else None for fault in struck] == ["stall", "stall", "error", None]
    assert behaviours.left("chat") == []


def test_a_handshake_takes_refusals_only() -> None:
    behaviours = Behaviours()
    behaviours.set("deepgram", Behaviour(faults=(Fault(kind="stall", count=1), Fault(kind="error", count=1))))

    at_handshake = behaviours.begin("deepgram", REFUSALS).fault

    assert at_handshake is not None
    assert at_handshake.kind == "error"
    assert [fault.kind for fault in behaviours.left("deepgram")] == ["stall"]


def test_faces_do_not_share_faults() -> None:
    behaviours = Behaviours()
    behaviours.set("chat", Behaviour(faults=(Fault(kind="error"),)))

    assert behaviours.begin("speech").fault is None
    assert behaviours.begin("chat").fault is not None
    behaviours.reset()
    assert behaviours.begin("chat").fault is None


async def test_latency_before_the_first_chunk_and_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    behaviours = Behaviours()
    behaviours.set("chat", Behaviour(latency=Latency(first_ms=300, chunk_ms=20)))
    await behaviours.begin("chat").play(chunks("abc"), Heard())

    assert waits == [0.3, 0.02, 0.02]


async def test_jitter_repeats_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    for seed in (5, 5, 6):
        behaviours = Behaviours()
        behaviours.set("chat", Behaviour(latency=Latency(first_ms=10, chunk_ms=10, jitter_ms=50), seed=seed))
        await behaviours.begin("chat").play(chunks("ab"), Heard())

    assert waits[:2] == waits[2:4] != waits[4:]
    assert all(0.01 <= wait <= 0.06 for wait in waits)


def test_every_kind_of_fault_is_known() -> None:
    assert {Fault(kind=kind).strikes_after for kind in get_args(FaultKind)} == {0, 1}


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="fautls"):
        Behaviour.model_validate({"fautls": []})


async def test_making_the_first_chunk_is_a_part_of_its_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a provider's latency nobody knows which part of it was work."""
    behaviours = Behaviours()
    behaviours.set("speech", Behaviour(latency=Latency(first_ms=100, chunk_ms=30)))
    made = behaviours.begin("speech")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))

    now = [10.0]
    monkeypatch.setattr("emulators.behaviour._now", lambda: now[0])
    monkeypatch.setattr(asyncio, "sleep", sleep)
    made.asked()
    now[0] = 10.06
    made.asked()
    await made.pause(first=True)
    await made.pause(first=False)
    now[0] = 11.0
    await made.pause(first=True)
    assert slept == [0.04, 0.03]
