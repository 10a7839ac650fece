import random

import numpy as np
import pytest
from fleet.judge import Flaw, Judge, interrupted
from fleet.noise import over_the_line
from fleet.speech import Samples, Synthesizer, Voice
from fleet.tap import Track
from fleet.voice_activity import Utterance

pytestmark = pytest.mark.integration  # espeak-ng is a process

AGENT = Voice("en-us", 165, 50)
TREATMENTS = ["scale and polish", "root canal", "dental implant", "wisdom tooth extraction", "night guard"]


@pytest.fixture(scope="module")
def synthesizer(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    return Synthesizer(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def judge(synthesizer: Synthesizer) -> Judge:
    return Judge(synthesizer, AGENT)


def sentence(treatment: str, price: int) -> str:
    return f"The {treatment} costs {price} dollars, and it takes about an hour."


def alternatives(treatment: str, price: int) -> list[str]:
    prices = [price + 10, price - 10, price + 5, price + 100]
    return [sentence(treatment, other) for other in prices] + [sentence(other, price) for other in TREATMENTS]


def heard(synthesizer: Synthesizer, text: str, seed: int, snr_db: float | None = None) -> Samples:
    return over_the_line(synthesizer.speak(text, AGENT), np.random.default_rng(seed), snr_db=snr_db)


@pytest.mark.parametrize("seed", range(6))
def test_the_right_sentence_is_recognised_over_a_line(judge: Judge, synthesizer: Synthesizer, seed: int) -> None:
    rng = random.Random(seed)
    treatment, price = rng.choice(TREATMENTS), rng.randrange(120, 900)
    text = sentence(treatment, price)
    verdict = judge.choose(
        heard(synthesizer, text, seed, None if seed % 2 else 25.0), text, alternatives(treatment, price)
    )
    assert verdict.ok, verdict.reason
    assert verdict.heard == text


@pytest.mark.parametrize(
    ("spoken", "complaint"),
    [
        (sentence("root canal", 460), "sounds like"),
        (sentence("root canal", 350), "sounds like"),
        (sentence("dental implant", 450), "sounds like"),
        ("I am sorry, our documents don't say anything about that, but I can take a message.", ""),
    ],
)
def test_another_answer_fails(judge: Judge, synthesizer: Synthesizer, spoken: str, complaint: str) -> None:
    expected = sentence("root canal", 450)
    others = [*alternatives("root canal", 450), sentence("root canal", 350)]
    verdict = judge.choose(heard(synthesizer, spoken, 1), expected, others)
    assert not verdict.ok
    assert complaint in verdict.reason


def test_silence_noise_and_a_click_fail(judge: Judge) -> None:
    expected, others = sentence("root canal", 450), [sentence("root canal", 350)]
    silence = np.zeros(24_000, dtype=np.int16)
    hiss = np.random.default_rng(1).normal(0, 20, 24_000).astype(np.int16)
    click = silence.copy()
    click[8000:9600] = np.random.default_rng(2).normal(0, 5000, 1600).astype(np.int16)
    assert judge.choose(silence, expected, others).reason == "nothing was heard"
    assert judge.choose(hiss, expected, others).reason == "nothing was heard"
    assert judge.choose(click, expected, others).reason == "only a short sound was heard"
    assert judge.spot(silence, "450 dollars", ["350 dollars"]).reason == "nothing was heard"


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_a_piece_of_the_sentence_fails(judge: Judge, synthesizer: Synthesizer, part: float) -> None:
    expected = sentence("root canal", 450)
    whole = synthesizer.speak(expected, AGENT)
    piece = over_the_line(whole[: int(part * whole.size)], np.random.default_rng(3))
    verdict = judge.choose(piece, expected, alternatives("root canal", 450))
    assert (verdict.ok, verdict.flaw) == (False, Flaw.PIECE)


def test_loud_noise_fails_even_without_alternatives(judge: Judge, synthesizer: Synthesizer) -> None:
    expected = sentence("root canal", 450)
    length = synthesizer.speak(expected, AGENT).size
    noise = np.random.default_rng(4).normal(0, 4000, length).astype(np.int16)
    assert not judge.choose(noise, expected, []).ok


def test_a_phrase_is_spotted_in_a_longer_answer(judge: Judge, synthesizer: Synthesizer) -> None:
    said = "From our price list: a night guard is 315 dollars, including the fitting. Anything else?"
    sound = heard(synthesizer, said, 5)
    prices = [f"{price} dollars" for price in (305, 325, 215, 415, 350)]
    assert judge.spot(sound, "315 dollars", prices).ok
    assert judge.spot(sound, "night guard", [name for name in TREATMENTS if name != "night guard"]).ok
    assert "sounds like '315 dollars'" in judge.spot(sound, "325 dollars", ["315 dollars", *prices]).reason


def call(agent: list[tuple[float, float]], length: float = 10.0) -> Track:
    """A returned direction in which the agent speaks in these stretches; the clock starts at 100."""
    track = Track("from the agent")
    loud = (np.ones(160) * 3000).astype("<i2").tobytes()
    quiet = bytes(320)
    for index in range(int(length * 50)):
        now = index * 0.02
        track.feed(loud if any(start <= now < end for start, end in agent) else quiet, 100 + now)
    return track


def test_interrupted_means_silent_while_the_caller_still_speaks() -> None:
    caller = Utterance(102.0, 104.0)
    verdict = interrupted(call([(1.0, 2.4), (5.0, 7.0)]), caller, full_length=5.0)
    assert verdict.ok
    assert verdict.seconds == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize(
    ("agent", "complaint"),
    [
        ([(1.0, 6.0)], "went on"),
        ([(1.0, 3.9)], "went on"),
        ([(1.0, 3.0), (3.4, 6.0)], "went on"),  # a breath is no silence
        ([(4.5, 6.0)], "not speaking"),
        ([], "not speaking"),
    ],
)
def test_not_interrupted(agent: list[tuple[float, float]], complaint: str) -> None:
    verdict = interrupted(call(agent), Utterance(102.0, 104.0), full_length=5.0)
    assert not verdict.ok
    assert complaint in verdict.reason


def test_an_answer_that_ended_by_itself_was_not_interrupted() -> None:
    track = call([(1.0, 2.9)])
    assert "by itself" in interrupted(track, Utterance(102.0, 104.0), full_length=1.9).reason
    assert interrupted(track, Utterance(102.0, 104.0), full_length=4.0).ok
