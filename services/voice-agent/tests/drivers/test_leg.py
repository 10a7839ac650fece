"""Whether the caller has gone, or only our own connection for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from switchboard.contracts.calls import EndReason
from voice_agent.drivers import leg as module
from voice_agent.drivers.leg import Leg

pytestmark = pytest.mark.unit


class Room:
    """``name_of`` the session is its SID."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., None]] = {}
        self.remote_participants: dict[str, object] = {"sip_1": SimpleNamespace(track_publications={})}
        self.now = "RM_1"

    @property
    async def sid(self) -> str:
        return self.now

    def on(self, name: str, handler: Callable[..., None]) -> None:
        self.handlers[name] = handler


class Scene:
    def __init__(self) -> None:
        self.room = Room()
        self.caller = SimpleNamespace(
            identity="sip_1", kind=3, attributes={"sip.callStatus": "active"}, disconnect_reason=None
        )
        self.reasons: list[EndReason] = []
        self.leg = Leg(cast("Any", self.room), cast("Any", self.caller), self.reasons.append)

    def leaves(self, reason: str) -> None:
        value = rtc.DisconnectReason.Value(reason)
        self.caller.disconnect_reason = value or None  # as the SDK shows it
        self.room.handlers["participant_disconnected"](self.caller)

    def joins(self) -> None:
        self.room.handlers["participant_connected"](self.caller)


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(module, "BACK_SECONDS", 0.05)
    monkeypatch.setattr(module, "HEARD_SECONDS", 0.05)
    made = Scene()
    await made.leg.watch()
    return made


async def until(scene: Scene, wanted: list[EndReason]) -> None:
    async with asyncio.timeout(5):
        while scene.reasons != wanted:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("reason", ["CLIENT_INITIATED", "PARTICIPANT_REMOVED", "ROOM_DELETED", "USER_REJECTED"])
async def test_who_hangs_up_is_gone_at_once(scene: Scene, reason: str) -> None:
    scene.leaves(reason)
    assert scene.reasons == [EndReason.CALLER_HUNG_UP]


@pytest.mark.parametrize("reason", ["UNKNOWN_REASON", "SIGNAL_CLOSE", "CONNECTION_TIMEOUT", "SERVER_SHUTDOWN"])
async def test_a_leg_that_does_not_come_back_was_lost(scene: Scene, reason: str) -> None:
    scene.leaves(reason)
    assert (scene.reasons, scene.leg.there) == ([], False)
    await until(scene, [EndReason.MEDIA_LOST])


async def test_a_leg_that_comes_back_in_time_never_left(scene: Scene) -> None:
    scene.leaves("UNKNOWN_REASON")
    scene.joins()
    while not scene.leg.there:
        await asyncio.sleep(0)
    scene.leg.hears()
    await asyncio.sleep(0.2)  # longer than it would have been waited for
    assert (scene.reasons, scene.leg.there) == ([], True)


async def test_a_leg_that_is_back_but_mute_is_lost(scene: Scene) -> None:
    """Not even silence comes of it: only our side has found back, and nobody would hear the other."""
    scene.leg.hears()
    scene.leaves("UNKNOWN_REASON")
    scene.joins()
    await until(scene, [EndReason.MEDIA_LOST])


@pytest.mark.parametrize("when", ["before us", "after us"])
async def test_a_leg_that_comes_back_is_heard_again(scene: Scene, when: str) -> None:
    """Nobody else asks for its track, whether it was published before we were in the room again or later."""
    asked: list[bool] = []
    track = SimpleNamespace(kind=rtc.TrackKind.KIND_AUDIO, subscribed=False, set_subscribed=asked.append)
    scene.leaves("UNKNOWN_REASON")
    if when == "before us":
        scene.room.remote_participants = {"sip_1": SimpleNamespace(track_publications={"TR_1": track})}
    scene.joins()
    if when == "after us":
        scene.room.handlers["track_published"](track, SimpleNamespace(identity="agent"))
        scene.room.handlers["track_published"](track, scene.caller)
    async with asyncio.timeout(5):
        while not asked:
            await asyncio.sleep(0)
    assert asked == [True]


async def test_what_was_asked_for_too_early_is_asked_for_again(scene: Scene) -> None:
    """Until the SDK says "reconnected" it drops requests without a word."""
    asked: list[bool] = []
    track = SimpleNamespace(kind=rtc.TrackKind.KIND_AUDIO, subscribed=False, set_subscribed=asked.append)
    scene.leaves("UNKNOWN_REASON")
    scene.room.remote_participants = {"sip_1": SimpleNamespace(track_publications={"TR_1": track})}
    scene.room.handlers["track_published"](track, scene.caller)
    scene.room.handlers["reconnected"]()
    assert asked == [True, True]


async def test_a_leg_that_comes_back_into_another_room_is_another_call(scene: Scene) -> None:
    scene.leaves("UNKNOWN_REASON")
    scene.room.now = "RM_2"
    scene.joins()
    await until(scene, [EndReason.MEDIA_LOST])


async def test_a_room_that_is_lost_for_good_ends_it_once(scene: Scene) -> None:
    scene.leaves("UNKNOWN_REASON")
    scene.room.handlers["disconnected"](None)
    scene.leaves("CLIENT_INITIATED")
    await asyncio.sleep(0.1)
    assert scene.reasons == [EndReason.MEDIA_LOST]


async def test_before_the_answer_every_leaving_is_a_cancelled_call() -> None:
    scene = Scene()
    scene.caller.attributes = {"sip.callStatus": "ringing"}
    await scene.leg.watch()
    scene.leaves("CLIENT_INITIATED")
    assert scene.reasons == [EndReason.CALLER_CANCELLED]


async def test_who_left_before_we_looked_is_gone() -> None:
    scene = Scene()
    scene.room.remote_participants = {}
    await scene.leg.watch()
    assert scene.reasons == [EndReason.CALLER_HUNG_UP]


async def test_somebody_elses_leaving_is_nothing_to_us(scene: Scene) -> None:
    scene.room.handlers["participant_disconnected"](SimpleNamespace(identity="other", disconnect_reason=1))
    assert scene.reasons == []
