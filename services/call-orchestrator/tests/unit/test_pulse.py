"""When a live call counts as one without a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from call_orchestrator.calls.models import LiveCall
from call_orchestrator.watch.pulse import Pulse
from switchboard.clock import ManualClock
from switchboard.contracts.calls import CallState
from switchboard.errors import DeadlineExceeded, NoResponder, Unavailable

pytestmark = pytest.mark.unit

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LEASE = timedelta(seconds=15)


class Fleet:
    """One call, answered for as the test says, second by second."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.answer: Exception | None = None
        self.epoch = 1
        self.beat: datetime | None = START
        self.lost: list[tuple[str, int]] = []
        self.away = False
        self.pulse = Pulse(self.live, self.ask, lambda room, epoch: self.lost.append((room, epoch)), LEASE, self.clock)

    async def live(self) -> list[LiveCall]:
        lease = None if self.beat is None else self.beat + LEASE
        call = LiveCall(UUID(int=1), UUID(int=2), "RM_1", CallState.TALKING, self.epoch, lease, START, START, 900)
        return [call]

    async def ask(self, tenant_id: UUID, call_id: UUID) -> None:
        if self.answer is not None:
            raise self.answer

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(1.0)
            await self.pulse.look()


async def test_a_job_that_is_gone_from_the_bus_and_missed_its_heartbeat_is_lost() -> None:
    fleet = Fleet()
    fleet.answer = NoResponder()
    await fleet.seconds(5)
    assert fleet.lost == []
    await fleet.seconds(1)
    assert fleet.lost == [("RM_1", 1)]


async def test_a_job_that_goes_on_beating_is_there_though_nobody_answers() -> None:
    """One of an older version, for example."""
    fleet = Fleet()
    fleet.answer = NoResponder()
    for _ in range(4):
        await fleet.seconds(5)
        fleet.beat = fleet.clock.now()
    assert fleet.lost == []


@pytest.mark.parametrize("answer", [None, DeadlineExceeded(), Unavailable()])
async def test_an_absence_that_was_interrupted_begins_anew(answer: Exception | None) -> None:
    """Clients come back one by one when the broker does; nor does a slow job, or a bus that is away, prove a death."""
    fleet = Fleet()
    fleet.beat = START - timedelta(minutes=1)
    fleet.answer = NoResponder()
    await fleet.seconds(4)
    fleet.answer = answer
    await fleet.seconds(1)
    fleet.answer = NoResponder()
    await fleet.seconds(4)
    assert fleet.lost == []
    await fleet.seconds(1)
    assert fleet.lost == [("RM_1", 1)]


async def test_who_takes_a_call_over_is_not_charged_with_the_absence_before() -> None:
    fleet = Fleet()
    fleet.beat = START - timedelta(minutes=1)
    fleet.answer = NoResponder()
    await fleet.seconds(4)
    fleet.epoch = 2
    await fleet.seconds(4)
    assert fleet.lost == []


async def test_a_call_without_a_job_yet_is_not_asked_about() -> None:
    fleet = Fleet()
    fleet.epoch, fleet.answer, fleet.beat = 0, NoResponder(), None
    await fleet.seconds(10)
    assert fleet.lost == []
