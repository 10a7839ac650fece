"""The caller's place in a room: when the server isn't one, when the way there broke, when audio comes at once."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from urllib.parse import urlsplit

import numpy as np
import pytest
from fleet.servers import LiveKitServer
from livekit import rtc
from sip_node.dispatch import Dispatch, DispatchResult
from sip_node.room import Credentials, RoomError, RoomLeg, join_token
from sip_node.rtp.stream import Mixer
from sip_node.testing.bridge import LiveKitAccess

pytestmark = pytest.mark.integration


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sip_node.room._JOIN_S", 0.2)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    leg = RoomLeg(Mixer(), lambda _: None)
    try:
        with pytest.raises(RoomError, match="TimeoutError"):
            await asyncio.wait_for(leg.join(f"ws://127.0.0.1:{port}", "token", {}), 5)
    finally:
        for writer in held:
            writer.close()
        server.close()
    await leg.leave()


class Gate:
    """A TCP way to a server that can be shut, as a restart shuts it, and opened again."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._pairs: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._pairs:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._pairs |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._pairs -= {writer, back}

    @staticmethod
    async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                to.write(data)
                await to.drain()
        to.close()


async def test_who_joins_anew_hears_a_track_that_was_there_before(livekit_server: LiveKitServer) -> None:
    """A caller whose connection to the server broke, in a room where the agent has already published anew."""
    access = LiveKitAccess(livekit_server.url, livekit_server.api_key, livekit_server.api_secret)
    credentials = Credentials(access.url, access.api_key, access.api_secret)
    dispatch = Dispatch(DispatchResult.ACCEPT, room_name=f"call_{secrets.token_hex(4)}", identity="sip_1")
    gate, mixer = Gate(access.url), Mixer()
    await gate.open()
    leg = RoomLeg(mixer, lambda _: None)
    back = asyncio.Event()
    leg._room.on("reconnected", back.set)
    agent = None
    try:
        await leg.join(gate.url, join_token(credentials, dispatch, {}), {})
        leg.subscribe()
        await gate.shut()
        agent = await access.agent(dispatch.room_name, 440.0)
        await gate.open()
        async with asyncio.timeout(40):
            await back.wait()
            while not leg.tracks_read:
                await asyncio.sleep(0.01)
    finally:
        await leg.leave()
        if agent is not None:
            await agent.leave()
        await gate.shut()


async def test_a_second_of_audio_at_once_is_captured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source without a queue takes 10 ms at a time and nothing else; of more than a second the oldest is lost."""
    captured: list[int] = []
    full = asyncio.Event()

    class Source(rtc.AudioSource):
        async def capture_frame(self, frame: rtc.AudioFrame) -> None:
            await super().capture_frame(frame)
            captured.extend(np.frombuffer(frame.data, dtype=np.int16).tolist())
            if captured[-1] == 8800:
                full.set()

    monkeypatch.setattr("sip_node.room.rtc.AudioSource", Source)
    leg = RoomLeg(Mixer(), lambda _: None)
    said = np.arange(1, 8821, dtype=np.int16)
    for start in range(0, len(said), 150):
        leg.push(said[start : start + 150])
    pump = asyncio.create_task(leg._pump())
    try:
        await asyncio.wait_for(full.wait(), 5)
        assert captured == said[800:8800].tolist()  # the last 20 samples are not 10 ms yet
        with pytest.raises(Exception, match="requires 10ms frames"):
            await leg._source.capture_frame(rtc.AudioFrame.create(8000, 1, 160))
    finally:
        pump.cancel()
        await leg.leave()
