"""What accepted connections are like."""

from __future__ import annotations

import asyncio
import socket

import pytest
from switchboard.service.run import _listen
from switchboard.settings import HttpSettings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
async def test_an_answers_parts_do_not_wait_for_the_clients_acknowledgement(host: str) -> None:
    accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda _, writer: accepted.set_result(writer), sock=_listen(_port_zero(host)))
    async with server:
        _, client = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        writer = await accepted
        connection: socket.socket = writer.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client.close()
        writer.close()


def _port_zero(host: str) -> HttpSettings:
    return HttpSettings(host=host, port=0)
