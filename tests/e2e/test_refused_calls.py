"""Calls that don't become conversations end quickly, politely, and with a record of why."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from fleet.api import ApiError, Call, SwitchboardApi
from fleet.caller import CallFailed
from fleet.e2e import RunningFleet, free_number

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]


async def ended_call(api: SwitchboardApi, count: int = 1) -> Call:
    """The newest of ``count`` calls once all are over."""
    async with asyncio.timeout(30):
        while True:
            calls = (await api.list_calls()).calls
            if len(calls) == count and all(call.state == "ended" for call in calls):
                return calls[0]
            await asyncio.sleep(0.1)


async def test_a_number_that_nobody_has_is_busy_and_recorded(running_fleet: RunningFleet) -> None:
    number = free_number("nobody's")
    before = await unmatched(running_fleet)
    async with running_fleet.phone() as (caller, place):
        with pytest.raises(CallFailed, match="486"):
            await caller.dial(place.uri(number), timeout=25)
    async with asyncio.timeout(20):
        while await unmatched(running_fleet) != [*before, "unknown_number"]:
            await asyncio.sleep(0.1)


async def unmatched(fleet: RunningFleet) -> list[str]:
    """The reasons of all unmatched calls, oldest first."""
    calls = await fleet.operators("call-orchestrator", "/ops/unmatched-calls")
    return [call["reason"] for call in reversed(calls)]


async def test_a_paused_clinic_says_so_and_hangs_up(running_fleet: RunningFleet) -> None:
    async with running_fleet.clinic(seed=31) as (api, clinic):
        await api.pause()
        async with running_fleet.phone() as (caller, place):
            await caller.dial(place.uri(clinic.number), timeout=25)
            since = caller.established_at or 0.0
            await caller.heard.until_speech(since, 15)
            await asyncio.wait_for(asyncio.shield(caller.closed), 30)
        call = await ended_call(api)
    assert (call.outcome, call.end_reason) == ("notice", "tenant_not_live")


async def test_a_suspended_clinic_has_a_notice_for_callers_and_changes_nothing(running_fleet: RunningFleet) -> None:
    async with running_fleet.clinic(seed=36) as (api, clinic):
        path = f"/ops/tenants/{UUID((await api.tenant()).tenant_id).hex}"
        assert await running_fleet.operate("tenant-svc", f"{path}/suspend") == {"status": "suspended"}
        with pytest.raises(ApiError, match="suspended"):
            await api.set_agent(greeting="Hello.")
        async with running_fleet.phone() as (caller, place):
            await caller.dial(place.uri(clinic.number), timeout=25)
            await caller.heard.until_speech(caller.established_at or 0.0, 15)
            await asyncio.wait_for(asyncio.shield(caller.closed), 30)
        call = await ended_call(api)
        assert await running_fleet.operate("tenant-svc", f"{path}/resume") == {"status": "paused"}
        await api.set_agent(greeting="Hello.")
    assert (call.outcome, call.end_reason) == ("notice", "tenant_suspended")


async def test_one_call_too_many_hears_a_notice(running_fleet: RunningFleet) -> None:
    """The first caller is not disturbed by the second."""
    async with running_fleet.clinic(seed=32) as (api, clinic):
        await api.set_agent(greeting="Hello.", max_concurrent_calls=1)
        await api.publish()
        await until_in_force(api, clinic.number, 1)
        async with running_fleet.phone() as (first, place), running_fleet.phone("+15558888888") as (second, other):
            await first.dial(place.uri(clinic.number), timeout=25)
            await first.heard.until_speech(first.established_at or 0.0, 20)
            await second.dial(other.uri(clinic.number), timeout=25)
            await second.heard.until_speech(second.established_at or 0.0, 20)
            await asyncio.wait_for(asyncio.shield(second.closed), 30)
            assert not first.closed.done()
            await first.hang_up()
        call = await ended_call(api, 2)
    assert (call.outcome, call.end_reason) == ("notice", "over_capacity")


async def until_in_force(api: SwitchboardApi, number: str, limit: int) -> None:
    """A publication is in force when the preview decides by it."""
    async with asyncio.timeout(20):
        while (await api.preview(number)).evidence.get("max_concurrent_calls") != limit:
            await asyncio.sleep(0.05)


async def test_a_caller_who_gives_up_while_it_rings_leaves_a_closed_record(running_fleet: RunningFleet) -> None:
    async with running_fleet.clinic(seed=33) as (api, clinic):
        await running_fleet.host.astop("voice-agent")
        try:
            async with running_fleet.phone() as (caller, place):
                with pytest.raises(CallFailed):
                    await caller.dial(place.uri(clinic.number), timeout=2.0)
            call = await ended_call(api)
        finally:
            await running_fleet.host.arevive("voice-agent")
    assert call.end_reason in ("caller_cancelled", "no_agent")


async def test_with_no_agent_free_the_caller_hears_busy_within_seconds(running_fleet: RunningFleet) -> None:
    """Never endless ringing: the watchdog tries again a few times and then ends it."""
    async with running_fleet.clinic(seed=34) as (api, clinic):
        await running_fleet.host.astop("voice-agent")
        try:
            async with running_fleet.phone() as (caller, place):
                with pytest.raises(CallFailed, match="486"):
                    await caller.dial(place.uri(clinic.number), timeout=40)
            call = await ended_call(api)
        finally:
            await running_fleet.host.arevive("voice-agent")
    assert call.end_reason == "no_agent"


async def test_trunks_and_rules_come_back_when_livekits_redis_is_emptied(running_fleet: RunningFleet) -> None:
    """The reconciler heals it, and the next call is answered."""
    import redis.asyncio as redis

    async with running_fleet.clinic(seed=35) as (api, clinic):
        server = running_fleet.layout.redis_livekit
        async with redis.from_url(server.url) as connection:
            await connection.flushall()
        async with asyncio.timeout(60):
            while True:
                try:
                    async with running_fleet.phone() as (caller, place):
                        await caller.dial(place.uri(clinic.number), timeout=4)
                        await caller.heard.until_speech(caller.established_at or 0.0, 20)
                        await caller.hang_up()
                    break
                except CallFailed:
                    continue
        call = await ended_call(api)
    assert call.end_reason == "caller_hung_up"
