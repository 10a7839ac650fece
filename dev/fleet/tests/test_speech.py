from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from fleet.features import Matrix, shorten_pauses, warp
from fleet.process import FleetError
from fleet.speech import RATE, Samples, Synthesizer, Voice, read_wav, resample, write_wav
from fleet.tap import Tap, Track
from fleet.voice_activity import in_samples

pytestmark = pytest.mark.unit


def tone(hertz: float, seconds: float, rate: int, level: float = 8000.0) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def test_resampling_keeps_a_tone_and_cuts_what_does_not_fit() -> None:
    kept = resample(tone(1000, 1.0, 22050), 22050, RATE)
    assert kept.size == RATE
    middle = slice(800, 7200)
    assert np.abs(kept[middle].astype(int) - tone(1000, 1.0, RATE)[middle]).max() < 120
    assert np.abs(resample(tone(6000, 1.0, 22050), 22050, RATE)[middle].astype(int)).max() < 60


def test_wav_round_trip_and_refusal(tmp_path: Path) -> None:
    samples = tone(440, 0.1, RATE)
    write_wav(tmp_path / "a.wav", samples)
    assert (read_wav(tmp_path / "a.wav") == samples).all()
    raw = bytearray((tmp_path / "a.wav").read_bytes())
    raw[24:28] = (16000).to_bytes(4, "little")
    (tmp_path / "b.wav").write_bytes(raw)
    with pytest.raises(FleetError, match=r"b\.wav is not 16-bit mono at 8000 Hz"):
        read_wav(tmp_path / "b.wav")


def test_pauses_shorter_than_half_a_second_belong_to_an_utterance() -> None:
    quiet = np.zeros(3280, dtype=np.int16)  # 410 ms
    word = tone(300, 0.4, RATE)
    one = np.concatenate([quiet, word, quiet, word, quiet])
    two = np.concatenate([word, np.zeros(5000, dtype=np.int16), word])
    assert len(in_samples(one)) == 1
    assert len(in_samples(two)) == 2
    assert in_samples(one)[0].start == pytest.approx(0.4, abs=0.03)
    assert in_samples(tone(300, 0.03, RATE)) == []


def test_a_tap_follows_a_file_that_grows_in_odd_pieces(tmp_path: Path) -> None:
    track = Track("x")
    tap = Tap(tmp_path, "-dec", track)
    tap.poll(1.0)
    samples = np.concatenate([np.zeros(160, dtype=np.int16), tone(300, 0.1, RATE)])
    write_wav(tmp_path / "full.tmp", samples)
    whole = (tmp_path / "full.tmp").read_bytes()
    growing = tmp_path / "dump-dec.wav"
    for now, end in ((2.0, 20), (3.0, 44), (4.0, 501), (5.0, len(whole))):
        growing.write_bytes(whole[:end])
        tap.poll(now)
    assert track.times == [4.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    assert (track.samples(0.0) == samples).all()
    assert track.voiced == [False, True, True, True, True, True]


async def test_waiting_ends_with_the_call() -> None:
    track = Track("from the agent")
    track.end("the call ended: hung up")
    with pytest.raises(FleetError, match="hung up"):
        await track.until_speech(0.0, timeout=5)
    assert await track.until_silence(0.0, timeout=5) == 0.0


async def test_waiting_has_a_deadline() -> None:
    with pytest.raises(TimeoutError, match="no speech from the agent"):
        await Track("from the agent").until_speech(0.0, timeout=0.01)


def test_warping_forgives_tempo_but_not_content() -> None:
    rng = np.random.default_rng(1)
    pattern = rng.normal(size=(40, 4))
    slower = np.repeat(pattern, 3, axis=0)
    other = rng.normal(size=(80, 4))

    def distance(first: Matrix, second: Matrix, anywhere: bool = False) -> float:
        return warp(np.linalg.norm(first[:, None] - second[None, :], axis=2), anywhere)

    assert distance(pattern, slower) == 0.0
    assert distance(pattern, other) > 0.5
    assert distance(pattern, np.vstack([other, pattern, other]), anywhere=True) == 0.0
    assert distance(pattern, np.vstack([other, pattern, other])) > 0.3
    assert distance(pattern, other[:0]) == float("inf")


def test_long_pauses_are_shortened_and_the_edges_cut() -> None:
    active = np.zeros(60, dtype=bool)
    active[5:10] = True
    active[40:45] = True
    kept = shorten_pauses(active, 8)
    assert kept[0] == 5
    assert kept[-1] == 44
    assert len(kept) == 5 + 8 + 5


def test_a_sentence_is_kept_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks while another thread writes finds nothing yet."""
    found: list[list[Path]] = []
    real = np.save

    def looked_at(file: BinaryIO, samples: Samples) -> None:
        real(file, samples)
        found.append(list(tmp_path.glob("*.npy")))

    monkeypatch.setattr(np, "save", looked_at)
    monkeypatch.setattr("fleet.speech.espeak", lambda text, voice: tone(440, 0.1, RATE))
    spoken = Synthesizer(tmp_path).speak("good morning", Voice())
    assert found == [[]]
    monkeypatch.setattr("fleet.speech.espeak", lambda text, voice: pytest.fail("it was kept"))
    assert np.array_equal(Synthesizer(tmp_path).speak("good morning", Voice()), spoken)
