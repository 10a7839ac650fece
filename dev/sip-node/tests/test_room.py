"""The caller's place in a room, when the server isn't one."""

from __future__ import annotations

import asyncio

import pytest
from sip_node.room import RoomError, RoomLeg
from sip_node.rtp.stream import Mixer

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
