"""Features, the network and the word search, without a child process."""

import math

import numpy as np
import pytest
from voice_agent.offline import acoustic
from voice_agent.offline.acoustic import PHONES, AcousticModel, ModelError, was_heard
from voice_agent.offline.ear_child import Recogniser
from voice_agent.offline.language_model import SpeechModel
from voice_agent.offline.lexicon_search import LexiconSearch, NGrams
from voice_agent.offline.mel import BANDS, QUIET, Floats, LogMel, as_floats
from voice_agent.offline.sound import Samples, resample

pytestmark = pytest.mark.integration  # espeak-ng says the question


def test_features_do_not_depend_on_how_the_audio_is_cut(question: Samples) -> None:
    whole = LogMel()(as_floats(question))
    taken, pieces = LogMel(), []
    for at in range(0, len(question), 333):
        pieces.append(taken(as_floats(question[at : at + 333])))
    assert np.allclose(np.concatenate(pieces), whole, atol=1e-4)
    assert whole.shape == (1 + (len(question) - 400) // 160, BANDS)


def test_features_are_the_same_at_the_rate_of_the_training(question: Samples) -> None:
    fine, coarse = LogMel()(as_floats(question)), LogMel(8000)(as_floats(resample(question, 16_000, 8000)))
    shared = min(len(fine), len(coarse))
    assert np.abs(fine[:shared] - coarse[:shared]).mean() < 0.05
    assert np.allclose(LogMel()(np.zeros(4000, np.float32)), QUIET)


def test_the_network_is_the_same_in_a_stream_and_over_the_whole(question: Samples) -> None:
    features = LogMel()(as_floats(question))
    one, other = AcousticModel(), AcousticModel()
    whole = np.concatenate([one.feed(features), one.finish()])
    pieces = [other.feed(features[at : at + 7]) for at in range(0, len(features), 7)]
    streamed = np.concatenate([*pieces, other.finish()])
    shared = min(len(whole), len(streamed))
    assert abs(len(whole) - len(streamed)) <= 1
    assert np.allclose(whole[:shared], streamed[:shared], atol=1e-3)
    assert np.allclose(np.exp(whole).sum(axis=1), 1, atol=1e-4)


def test_weights_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(acoustic.weights()) < 5_000_000
    monkeypatch.setattr(acoustic, "DIGEST", "0" * 64)
    with pytest.raises(ModelError, match="SHA-256"):
        AcousticModel()


def test_the_voices_that_are_kept_for_tests_were_not_heard() -> None:
    assert was_heard("en-us") and was_heard("en-gb+f3")
    assert not any(map(was_heard, ("en-us+Andrea", "en-gb-x-gbclan", "en-gb-x-gbclan+f3", "de")))


ARPA = """\\data\\
ngram 1=5
ngram 2=4
ngram 3=1

\\1-grams:
-1.0 <s> 0.0
-1.0 </s> 0.0
-1.0 by -0.3
-1.5 buy -0.3
-1.0 ten 0.0

\\2-grams:
-0.3 <s> by 0.0
-1.0 <s> buy 0.0
-2.0 by ten 0.0
-0.1 buy ten 0.0

\\3-grams:
-0.1 <s> buy ten

\\end\\
"""


def frames(*phones: str) -> Floats:
    """Each phone for a frame, then nothing for one."""
    rows = np.full((2 * len(phones), len(PHONES) + 1), math.log(1e-6), np.float32)
    rows[1::2, 0] = 0.0
    for at, phone in enumerate(phones):
        rows[2 * at, PHONES.index(phone) + 1] = 0.0
    return rows


def search() -> LexiconSearch:
    ways = {"by": ["B AY"], "buy": ["B AY"], "ten": ["T EH N"]}
    numbers = {word: [[PHONES.index(p) + 1 for p in way.split()] for way in all_] for word, all_ in ways.items()}
    return LexiconSearch(numbers, NGrams(ARPA))


def test_the_language_model_chooses_among_words_that_sound_alike() -> None:
    one = search()
    one.feed(frames("B", "AY"))
    assert one.best() == "by"
    one.feed(frames("T", "EH", "N"))
    assert one.best() == "buy ten"
    readings = one.readings(8)
    assert [words for words, _ in readings[:2]] == [("buy", "ten"), ("by", "ten")]
    assert readings[0][1] > readings[1][1]
    one.start()
    assert one.best() == ""


def test_n_grams_fall_back_to_shorter_ones() -> None:
    grams = NGrams(ARPA)
    ten = math.log(10)
    assert grams.score(("<s>", "buy"), "ten") == pytest.approx(-0.1 * ten)
    assert grams.score(("ten", "by"), "ten") == pytest.approx(-2.0 * ten)
    assert grams.score(("ten", "by"), "buy") == pytest.approx((-0.3 - 1.5) * ten)


def test_a_phone_said_twice_needs_a_pause_between() -> None:
    ways = {"a": [[1]], "b": [[2]]}
    one = LexiconSearch(ways, NGrams(ARPA.replace("by", "a").replace("buy", "b")))
    rows = frames("AA")
    one.feed(np.repeat(rows[:1], 3, axis=0))
    assert one.best() == "a"
    one.start()
    one.feed(np.concatenate([rows, rows]))
    assert one.best() == "a a"


def test_it_hears(speech_model: SpeechModel, question: Samples) -> None:
    ear = Recogniser(speech_model.arpa.decode(), speech_model.dictionary.decode())
    ear.feed(question.tobytes())
    heard = ear.finish()
    assert heard.text == "how much is a velora peel"
    assert ear.finish().alternatives == ()
