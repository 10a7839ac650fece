"""The room's driver with a session that does nothing by itself: what it tells the conversation, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import llm as lk_llm
from switchboard.clock import ManualClock
from switchboard.contracts.calls import EndReason
from switchboard.contracts.providers import ProviderFault
from voice_agent.conversation.models import CallerLeft, CallerSilent, CallerSpoke, Event, Say, SayMore, SpeechEnded
from voice_agent.drivers import room as driver_room
from voice_agent.drivers.room import Providers, RoomDriver
from voice_agent.drivers.speech_account import BrokenSentence, SpeechAccount, speech_account

pytestmark = pytest.mark.unit


class Emitter:
    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., None]] = {}

    def on(self, name: str, handler: Callable[..., None]) -> None:
        self.handlers[name] = handler


class Handle:
    """One utterance: ends when interrupted, or by :meth:`end`."""

    def __init__(self, text: str, allow_interruptions: bool) -> None:
        self.text, self.allow_interruptions = text, allow_interruptions
        self.interrupted = False
        self.heard = ""
        self.over = asyncio.Event()
        self.failure: Exception | None = None

    @property
    def chat_items(self) -> list[lk_llm.ChatMessage]:
        return [lk_llm.ChatMessage(role="assistant", content=[self.heard])] if self.heard else []

    def exception(self) -> Exception | None:
        return self.failure

    def interrupt(self, *, force: bool = False) -> None:
        self.interrupted, self.heard = True, self.text[:5]
        self.over.set()

    def end(self) -> None:
        self.heard = self.text
        self.over.set()

    async def wait_for_playout(self) -> None:
        await self.over.wait()


class Session(Emitter):
    def __init__(self, **_: object) -> None:
        super().__init__()
        self.user_state = "listening"
        self.said: list[Handle] = []
        self.accounts: list[SpeechAccount] = []

    async def start(self, *_: object, **__: object) -> None:
        return

    def say(self, text: Any, allow_interruptions: bool) -> Handle:
        self.said.append(Handle(text, allow_interruptions))
        account = speech_account.get()
        assert account is not None
        self.accounts.append(account)
        return self.said[-1]

    async def aclose(self) -> None:
        # As the real one does: it says so before this returns.
        self.handlers["close"](SimpleNamespace(reason="user_initiated"))


class Room(Emitter):
    def __init__(self) -> None:
        super().__init__()
        self.remote_participants = {"sip_1": object()}

    @property
    async def sid(self) -> str:
        return "RM_1"


class Fixture:
    def __init__(self) -> None:
        self.room = Room()
        self.caller = SimpleNamespace(
            identity="sip_1", kind=3, attributes={"sip.callStatus": "active"}, disconnect_reason=1
        )
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.driver = RoomDriver(
            cast("Any", self.room),
            cast("Any", self.caller),
            Providers(stt=cast("Any", None), tts=cast("Any", None), vad=cast("Any", None)),
            ManualClock(datetime(2026, 3, 2, tzinfo=UTC)),
            on_words=lambda text, final: None,
            on_say=lambda effect: None,
            on_pause=lambda text: None,
        )
        self.driver.post = self.events.put_nowait
        self.session = cast("Session", self.driver._session)

    async def next(self) -> Event:
        async with asyncio.timeout(5):
            return await self.events.get()

    def user(self, new: str) -> None:
        old, self.session.user_state = self.session.user_state, new
        self.session.handlers["user_state_changed"](SimpleNamespace(old_state=old, new_state=new))


@pytest.fixture
def fake_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_room, "AgentSession", Session)
    monkeypatch.setattr(driver_room, "_Receptionist", lambda driver: driver)


@pytest.fixture
async def one(fake_session: None) -> Fixture:
    made = Fixture()
    await made.driver.start()
    return made


SAY = Say(utterance=4, kind="answered", text="A cleaning is eighty dollars.")


async def test_a_caller_who_hangs_up_in_mid_sentence_is_recorded_with_what_they_heard(one: Fixture) -> None:
    one.driver.say(SAY)
    one.room.handlers["participant_disconnected"](one.caller)
    ended, left = await one.next(), await one.next()
    assert isinstance(ended, SpeechEnded)
    assert (ended.heard, ended.interrupted) == ("A cle", True)
    assert left == CallerLeft(reason=EndReason.CALLER_HUNG_UP)


async def test_a_caller_who_hangs_up_while_nobody_speaks_is_gone_at_once(one: Fixture) -> None:
    one.room.handlers["participant_disconnected"](one.caller)
    one.room.handlers["disconnected"]("room deleted")
    assert one.events.get_nowait() == CallerLeft(reason=EndReason.CALLER_HUNG_UP)
    assert one.events.empty()


async def test_a_room_that_is_lost_with_the_caller_in_it_is_no_hang_up(one: Fixture) -> None:
    one.room.handlers["disconnected"]("server shutdown")
    assert one.events.get_nowait() == CallerLeft(reason=EndReason.MEDIA_LOST)


async def test_a_room_that_is_lost_before_the_answer_is_a_call_that_was_given_up(fake_session: None) -> None:
    ringing = Fixture()
    ringing.caller.attributes = {"sip.callStatus": "ringing"}
    await ringing.driver.start()
    ringing.room.handlers["disconnected"]("server shutdown")
    assert ringing.events.get_nowait() == CallerLeft(reason=EndReason.CALLER_CANCELLED)


async def test_a_session_that_gives_up_ends_the_call(one: Fixture) -> None:
    one.session.handlers["close"](SimpleNamespace(reason="error"))
    assert one.events.get_nowait() == CallerLeft(reason=EndReason.AGENT_FAILED)


async def test_closing_the_session_ourselves_says_nothing(one: Fixture) -> None:
    await one.driver.close()
    assert one.events.empty()


async def test_a_caller_who_interrupts_and_goes_on_for_long_is_not_asked_whether_they_are_there(
    one: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_room, "SILENCE_SECONDS", 0.0)
    one.driver.say(SAY)
    one.user("speaking")
    one.session.said[0].interrupt()
    assert isinstance(await one.next(), SpeechEnded)
    for _ in range(5):
        await asyncio.sleep(0)
    assert one.events.empty()
    one.user("listening")
    assert isinstance(await one.next(), CallerSilent)


async def test_an_utterance_that_was_replaced_starts_no_silence(one: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_room, "SILENCE_SECONDS", 0.0)
    one.driver.say(SAY)
    one.driver.say(SAY.model_copy(update={"utterance": 5}))
    assert isinstance(await one.next(), SpeechEnded)
    for _ in range(5):
        await asyncio.sleep(0)
    assert one.events.empty()
    one.session.said[1].end()
    assert isinstance(await one.next(), SpeechEnded)
    assert isinstance(await one.next(), CallerSilent)


async def test_a_turn_that_is_over_does_not_wait_for_a_sentence_that_has_not_begun(one: Fixture) -> None:
    one.driver.say(SAY)
    async with asyncio.timeout(5):
        await one.driver.on_turn_completed(lk_llm.ChatMessage(role="user", content=["what"]))
    assert isinstance(await one.next(), SpeechEnded)
    assert isinstance(await one.next(), CallerSpoke)
    assert one.session.said[0].interrupted


async def test_an_utterance_that_can_not_be_spoken_still_ends(one: Fixture) -> None:
    one.driver.say(SAY)
    one.session.said[0].failure = RuntimeError("no voice")
    one.session.said[0].over.set()
    ended = await one.next()
    assert isinstance(ended, SpeechEnded)
    assert ended.heard == ""


async def test_a_reply_in_pieces_is_one_utterance(one: Fixture) -> None:
    one.driver.say(SAY.model_copy(update={"more": True}))
    one.driver.say_more(SayMore(utterance=3, text="Of another reply.", last=True))
    one.driver.say_more(SayMore(utterance=4, text="Anything else?", last=False))
    one.driver.say_more(SayMore(utterance=4, text="", last=True))
    assert len(one.session.said) == 1
    async with asyncio.timeout(5):
        pieces = [piece async for piece in cast("Any", one.session.said[0].text)]
    assert "".join(pieces) == f"{SAY.text} Anything else? "


async def test_what_the_voice_did_is_told_with_the_end_of_the_utterance(one: Fixture) -> None:
    fault = ProviderFault(stage="tts", endpoint="main", fault="timeout", served_by="offline")
    one.driver.say(SAY)
    account = one.session.accounts[0]
    account.broken.append(BrokenSentence(SAY.text, "A cleaning"))
    account.added = "Sorry."
    account.faults.append(fault)
    one.session.said[0].end()
    ended = await one.next()
    assert isinstance(ended, SpeechEnded)
    assert (ended.heard, ended.added, ended.faults) == ("A cleaning Sorry.", "Sorry.", (fault,))
    assert speech_account.get() is None
