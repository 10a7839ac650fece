"""What the voice benches measure with, on sounds whose times are known."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest
from fleet.draw import draw_clinic
from fleet.process import FleetError
from fleet.speech import RATE, Samples, Synthesizer, write_wav
from fleet.voice_activity import SPEECH_RMS
from sip_node.testing.media import FRAME, mulaw, tone

from bench.barge_in import silence_after
from bench.voice.phone import Media, Said
from bench.voice.speech import Callers, cough, line_noise, recording, silence

pytestmark = [pytest.mark.integration]
"""A telephone of this process, on the loopback."""


def test_first_and_last_sound_are_found_within_five_milliseconds() -> None:
    said = Said.of(np.concatenate([silence(0.1), tone(400, 0.5), silence(0.2)]))
    said.sent = [10.0 + at * 0.02 for at in range(len(said.samples) // FRAME)]
    assert said.began == pytest.approx(10.1, abs=0.006)
    assert said.ended == pytest.approx(10.6, abs=0.006)


def test_silence_can_not_be_said() -> None:
    with pytest.raises(FleetError, match="nothing to be heard"):
        Said.of(silence(1.0))


async def test_what_one_telephone_says_another_hears_on_the_same_clock() -> None:
    """The way between two sockets takes no time: what is measured is what the telephone itself adds."""
    speaker, listener = await Media.open(line_noise(1)), await Media.open()
    try:
        answer = f"c=IN IP4 127.0.0.1\r\nm=audio {listener.port} RTP/AVP 0\r\n"
        speaker.send_to(answer)
        listener.send_to(answer.replace(str(listener.port), str(speaker.port)))
        for one in (speaker, listener):
            one.start()
        await listener.wait_packets(5)
        said = speaker.say(np.concatenate([silence(0.1), tone(400, 0.3)]))
        await said.over.wait()
        heard = await listener.until_speech(said.sent[0], 5.0)
        ended = await listener.until_silence(heard, 5.0, gap=0.2)
        # Nothing is heard before it was said; by how much later is this machine's business.
        assert said.began - 0.006 <= heard < said.ended
        assert ended >= said.ended - 0.006
        assert speaker.onset(0.0) is None  # line noise is no speech
    finally:
        speaker.close()
        listener.close()


async def test_where_a_voice_ended_is_not_within_its_pauses() -> None:
    media = await Media.open()
    try:
        media.voice = [(at, at + 0.02) for at in np.arange(1.0, 2.0, 0.02)]
        media.voice += [(at, at + 0.02) for at in np.arange(2.4, 3.0, 0.02)]  # a pause of 0.4 s
        assert silence_after(media, 1.5, 2.2) is None
        assert silence_after(media, 1.5, 3.2) is None
        assert silence_after(media, 1.5, 3.5) == pytest.approx(3.0, abs=0.03)
    finally:
        media.close()


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def test_a_seed_gives_the_same_callers_and_another_seed_others(tmp_path: Path) -> None:
    clinic, synthesizer = draw_clinic(1), Synthesizer(tmp_path)

    def first(seed: int) -> list[bytes]:
        asked = Callers(clinic, synthesizer, seed).questions("turns")
        return [next(asked).tobytes() for _ in range(4)]

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_line_noise_lies_below_speech_and_survives_the_line() -> None:
    noise = line_noise(3)
    assert 0 < level(noise) < SPEECH_RMS / 1.5
    assert len(mulaw(noise)) == len(noise)


def test_a_cough_is_short_and_loud() -> None:
    sound = cough(random.Random(1))
    assert len(sound) / RATE < 0.6
    assert level(sound) > SPEECH_RMS


def test_a_recording_is_brought_to_the_common_level(tmp_path: Path) -> None:
    write_wav(tmp_path / "one.wav", np.concatenate([silence(0.5), (tone(300, 1.0) // 4).astype(np.int16)]))
    read = recording(tmp_path / "one.wav")
    assert len(read) / RATE == pytest.approx(1.0, abs=0.05)
    assert level(read) == pytest.approx(3000, rel=0.2)


async def test_waiting_for_a_voice_says_what_did_not_come() -> None:
    media = await Media.open()
    try:
        media.send_to("c=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n")
        media.start()
        with pytest.raises(FleetError, match="no speech for"):
            await media.until_speech(asyncio.get_running_loop().time(), 0.1)
    finally:
        media.close()
