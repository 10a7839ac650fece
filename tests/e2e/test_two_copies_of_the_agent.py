"""Two copies of the voice agent, calls on both, and the end of one of them: nobody else's call notices.

COPIES_RUNS says how often it is done (`make prove`: five times).
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack

import pytest
from fleet.api import Call, SwitchboardApi
from fleet.copies import metric, until
from fleet.draw import Clinic
from fleet.e2e import RunningFleet
from fleet.listening import ListeningCall, listening_call

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]

RUNS = int(os.environ.get("COPIES_RUNS", "1"))
MOST_CALLS = 10
SENTENCE = "Room 777777. "
BROKEN_OFF = 1.5
"""Seconds of sound: the longest pause between two sentences has 0.5."""

SECONDS_UNTIL_OVER = 20.0
"""LiveKit itself says that an agent is gone after 15 s; the bus says it at once, the heartbeats after 6 s."""


async def talkative(api: SwitchboardApi) -> None:
    """A clinic whose greeting takes a minute and more, by its numbers: the agent is talking all the time."""
    await api.set_agent(greeting=SENTENCE * 30, language="en", voice="en-us", max_concurrent_calls=MOST_CALLS)
    published = await api.publish()

    async def in_force() -> bool:
        return (await api.preview((await api.tenant()).numbers[0].number)).configuration_version == published.version

    await until("the greeting is in force", in_force)


class Lines:
    """Calls, each with the copy that took it."""

    def __init__(self, fleet: RunningFleet, stack: AsyncExitStack, clinic: Clinic) -> None:
        self._fleet, self._stack, self._clinic = fleet, stack, clinic
        self.on: dict[str, list[ListeningCall]] = {copy: [] for copy in fleet.layout.copies_of("voice-agent")}

    async def one_more(self) -> None:
        """LiveKit chooses the copy, by chance weighted with their load."""
        count = sum(len(calls) for calls in self.on.values())
        before = {copy: await self.active(copy) for copy in self.on}
        sip = self._fleet.layout.sip
        number = f"+1555777{count:04d}"
        answered = listening_call((sip.host, sip.port), self._clinic.number, number, timeout=25.0)
        call = await self._stack.enter_async_context(answered)
        [took] = [copy for copy in self.on if await self.active(copy) > before[copy]]
        self.on[took].append(call)

    async def active(self, copy: str) -> float:
        return await metric(self._fleet.layout, copy, "voice_agent_calls_active")

    async def on_both(self) -> None:
        for _ in range(MOST_CALLS):
            if all(self.on.values()):
                return
            await self.one_more()
        raise AssertionError("LiveKit gave all calls to one copy")

    def all(self) -> list[ListeningCall]:
        return [call for calls in self.on.values() for call in calls]


async def speaking(call: ListeningCall, since: float, seconds: float = 1.0) -> None:
    """Until so much speech has been heard since then."""

    async def heard() -> bool:
        return call.spoken(since) >= seconds

    await until("the agent speaks", heard)


async def records(api: SwitchboardApi) -> dict[str, Call]:
    """By the caller's number."""
    return {call.caller or "": call for call in (await api.list_calls()).calls}


async def record_of(api: SwitchboardApi, call: ListeningCall, seconds: float = SECONDS_UNTIL_OVER) -> Call:
    """The call's record once it is closed."""

    async def closed() -> Call | None:
        found = (await records(api))[call.sip.user]
        return found if found.state == "ended" else None

    return await until("the call's record is closed", closed, seconds)


@pytest.mark.parametrize("run", range(RUNS))
async def test_only_the_killed_copys_calls_end_and_each_with_a_reason(
    two_of_everything: RunningFleet, run: int
) -> None:
    fleet, clock = two_of_everything, asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        api, clinic = await stack.enter_async_context(fleet.clinic(seed=4100 + run))
        await talkative(api)
        lines = Lines(fleet, stack, clinic)
        await lines.on_both()
        began = clock()
        for call in lines.all():
            await speaking(call, began)
        victim = min(lines.on, key=lambda copy: len(lines.on[copy]))
        lost, kept = lines.on[victim], [call for copy, calls in lines.on.items() if copy != victim for call in calls]

        killed, killed_at = clock(), time.time()
        await fleet.host.akill(victim)
        byes = [await call.sip.bye_from_server(timeout=SECONDS_UNTIL_OVER) for call in lost]
        closed = [await record_of(api, call) for call in lost]
        ended = clock()
        assert {record.end_reason for record in closed} == {"agent_lost"}
        for call in kept:
            await speaking(call, ended)
            assert call.over is None
        pauses = [call.pause(killed - 1.0) for call in kept]
        gaps = [call.gap(killed - 1.0) for call in kept]
        assert max(pauses) < BROKEN_OFF
        assert max(gaps) < BROKEN_OFF
        assert {(await records(api))[call.sip.user].state for call in kept} == {"talking"}
        after = [record.ended_at.timestamp() - killed_at for record in closed if record.ended_at is not None]
        fleet.view.line(
            f"VERDICT {victim} killed: {len(lost)} calls lost, BYE after {max(bye.at - killed for bye in byes):.1f} s, "
            f"records closed after {max(after):.1f} s; {len(kept)} calls kept, longest gap between packets "
            f"{max(gaps) * 1000:.0f} ms, longest pause in speech {max(pauses) * 1000:.0f} ms"
        )
        for call in kept:
            await call.sip.hang_up()
            assert (await record_of(api, call)).end_reason == "caller_hung_up"
        await fleet.host.arevive(victim)
        await lines.one_more()
