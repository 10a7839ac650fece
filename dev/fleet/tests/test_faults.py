"""The faults do what they say, and nothing when they are off: with one that does nothing, a control proves nothing."""

import asyncio
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from fleet.faults.line import HOST, Line, LineFault, Taker, line
from fleet.faults.voice import HEADER, PROGRAM, VoiceFaults
from fleet.ports import PortPool
from sip_node.rtp.g711 import ULAW

pytestmark = pytest.mark.integration  # espeak-ng is a process, the line has sockets

SPEAK = ("-v", "en-us", "-s", "155", "--stdin", "--stdout")


@pytest.fixture
def voice(tmp_path: Path) -> VoiceFaults:
    return VoiceFaults(tmp_path / "a folder's name")


def run(voice: VoiceFaults | None, text: str, *arguments: str) -> bytes:
    """What the program writes; None is the system's own."""
    program = PROGRAM if voice is None else str(voice.programs / PROGRAM)
    done = subprocess.run([program, *arguments], input=text.encode(), capture_output=True, check=True)
    return done.stdout


def test_without_a_fault_it_is_the_real_voice(voice: VoiceFaults) -> None:
    assert run(voice, "It costs 355 dollars.", *SPEAK) == run(None, "It costs 355 dollars.", *SPEAK)


def test_a_muted_voice_is_as_long_and_silent(voice: VoiceFaults) -> None:
    real = run(None, "It costs 355 dollars.", *SPEAK)
    with voice.muted():
        muted = run(voice, "It costs 355 dollars.", *SPEAK)
    assert muted[:HEADER] == real[:HEADER]
    assert muted[HEADER:] == bytes(len(real) - HEADER)
    assert run(voice, "It costs 355 dollars.", *SPEAK) == real


def test_a_halved_voice_breaks_off_in_the_middle(voice: VoiceFaults) -> None:
    real = run(None, "It costs 355 dollars.", *SPEAK)
    with voice.halved():
        halved = run(voice, "It costs 355 dollars.", *SPEAK)
    assert real.startswith(halved)
    assert abs(len(halved) - HEADER - (len(real) - HEADER) / 2) <= 2


def test_a_voice_with_other_words_says_them(voice: VoiceFaults) -> None:
    with voice.saying("365", instead_of="355"):
        said = run(voice, "It costs 355 dollars.", *SPEAK)
    assert said == run(None, "It costs 365 dollars.", *SPEAK)
    with pytest.raises(ValueError, match="letters, digits and spaces"), voice.saying("a/b", instead_of="355"):
        pass


def test_the_ears_pronunciations_are_left_alone(voice: VoiceFaults) -> None:
    asked = ("-q", "--ipa", "-v", "en-us", "velora")
    with voice.muted():
        assert run(voice, "", *asked) == run(None, "", *asked)


class Ends:
    """A phone and a bridge that send each other an INVITE, its answer and sound through the line."""

    def __init__(self, way: Line) -> None:
        self.way = way
        self.at_phone: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.at_bridge: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    async def set_up(self, phone: asyncio.DatagramTransport, bridge: asyncio.DatagramTransport) -> None:
        self.phone, self.bridge = phone, bridge
        phone.sendto(message("INVITE sip:17@127.0.0.1 SIP/2.0", port(phone)), (HOST, self.way.port))
        invite, source = await self.at_bridge.get()
        self.to_bridge = (HOST, media_port(invite))
        assert source[0] == self.way.address
        bridge.sendto(message("SIP/2.0 200 OK", port(bridge)), source)
        answer, _ = await self.at_phone.get()
        self.to_phone = (HOST, media_port(answer))

    async def say(self, who: str, loud: bool) -> None:
        """One packet of sound from the phone or from the agent."""
        samples = np.full(160, 3000 if loud else 0, dtype=np.int16)
        packet = struct.pack("!BBHII", 0x80, 0, 1, 160, 7) + ULAW.encode(samples)
        if who == "phone":
            self.phone.sendto(packet, self.to_phone)
        else:
            self.bridge.sendto(packet, self.to_bridge)

    async def heard(self, queue: asyncio.Queue[tuple[bytes, tuple[str, int]]]) -> bool:
        try:
            await asyncio.wait_for(queue.get(), 0.3)
        except TimeoutError:
            return False
        return True


def message(first: str, media: int) -> bytes:
    body = f"v=0\r\nc=IN IP4 203.0.113.9\r\nm=audio {media} RTP/AVP 0\r\n"
    return f"{first}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def media_port(received: bytes) -> int:
    """The port in a relayed message, whose length must fit and whose address must be the line's."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(head.rpartition(b"Content-Length: ")[2]) == len(body)
    assert b"c=IN IP4 127.0.0.1" in body
    return int(body.partition(b"m=audio ")[2].split()[0])


def port(transport: asyncio.DatagramTransport) -> int:
    return int(transport.get_extra_info("sockname")[1])


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """Both ends use one socket for SIP and sound, which the line must not mind."""
    loop = asyncio.get_running_loop()
    box: list[Ends] = []
    phone, _ = await loop.create_datagram_endpoint(
        lambda: Taker(lambda data, source: box[0].at_phone.put_nowait((data, source))), local_addr=(HOST, 0)
    )
    bridge, _ = await loop.create_datagram_endpoint(
        lambda: Taker(lambda data, source: box[0].at_bridge.put_nowait((data, source))), local_addr=(HOST, 0)
    )
    with PortPool() as ports:
        async with line((HOST, port(bridge)), ports, "127.0.0.2") as way:
            box.append(Ends(way))
            await box[0].set_up(phone, bridge)
            yield box[0]
    phone.close()
    bridge.close()


async def test_a_sound_line_passes_both_directions(ends: Ends) -> None:
    for loud in (True, False):
        await ends.say("phone", loud)
        assert await ends.heard(ends.at_bridge)
        await ends.say("agent", loud)
        assert await ends.heard(ends.at_phone)
    assert ends.way.lost == 0


async def test_one_way_audio_loses_what_the_agent_says(ends: Ends) -> None:
    with ends.way.broken(LineFault.ONE_WAY):
        await ends.say("agent", True)
        assert not await ends.heard(ends.at_phone)
        await ends.say("phone", True)
        assert await ends.heard(ends.at_bridge)
    await ends.say("agent", True)
    assert await ends.heard(ends.at_phone)
    assert ends.way.lost == 1


async def test_a_half_duplex_line_loses_the_phone_only_while_the_agent_speaks(ends: Ends) -> None:
    with ends.way.broken(LineFault.HALF_DUPLEX):
        await ends.say("agent", False)
        assert await ends.heard(ends.at_phone)
        await ends.say("phone", True)
        assert await ends.heard(ends.at_bridge)
        await ends.say("agent", True)
        assert await ends.heard(ends.at_phone)
        await ends.say("phone", True)
        assert not await ends.heard(ends.at_bridge)
    await ends.say("phone", True)
    assert await ends.heard(ends.at_bridge)
