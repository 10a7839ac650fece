"""How words fit the phones that were heard."""

import pytest
from voice_agent.offline.phonetics import distance, likeness, word_confidences

pytestmark = pytest.mark.unit

LEXICON = {
    "how": [["HH", "AW"]],
    "much": [["M", "AH", "CH"]],
    "peel": [["P", "IY", "L"]],
    "velora": [["V", "EH", "L", "AO", "R", "AH"], ["V", "IH", "L", "AO", "R", "AH"]],
}


def test_words_that_were_said_are_sure_and_others_are_not() -> None:
    said = ["HH", "AW", "M", "AH", "CH", "V", "IH", "L", "AO", "R", "AH", "P", "IY", "L"]
    assert word_confidences(["how", "much", "velora", "peel"], said, LEXICON) == [1.0, 1.0, 1.0, 1.0]
    heard = ["HH", "AW", "M", "AH", "CH", "S", "K", "AY", "T", "IH", "NG", "P", "IY", "L"]
    other = word_confidences(["how", "much", "velora", "peel"], heard, LEXICON)
    assert other[0] == other[1] == other[3] == 1.0
    assert other[2] < 0.3


def test_a_breath_before_the_first_word_costs_nothing() -> None:
    assert word_confidences(["peel"], ["HH", "P", "IY", "L"], LEXICON) == [1.0]


def test_an_unknown_word_and_silence_are_unheard() -> None:
    assert word_confidences(["zzz"], ["P"], LEXICON) == [0.0]
    assert word_confidences(["peel"], [], LEXICON)[0] < 0.5
    assert word_confidences([], ["P"], LEXICON) == []


def test_likeness_and_distance() -> None:
    assert likeness(["P", "IY", "L"], ["P", "IY", "L"]) == 1.0
    assert likeness(["P", "IY", "L"], ["B", "IY", "L"]) > likeness(["P", "IY", "L"], ["S", "AO", "T"])
    assert distance("P", "B") < distance("P", "S") < distance("P", "AA")
