"""Text as it is said."""

import pytest
from voice_agent.offline.spoken import clock_words, digits_words, number_words, ordinal_words, sentences, spoken, words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Velora peel costs $129.", "Velora peel costs 129 dollars."),
        ("$1", "1 dollar"),
        ("$1,250.50 per session", "1250 dollars and 50 cents per session"),
        ("£9.99 or 20 EUR", "9 pounds and 99 pence or 20 euros"),
        ("$80-$95", "80 dollars to 95 dollars"),
        ("Mon-Fri 9am-5:30pm", "Monday to Friday nine AM to five thirty PM"),
        ("Open at 9 a.m. Bring your ID.", "Open at nine AM. Bring your ID."),
        ("9 a.m. - 1 p.m.", "nine AM to one PM."),
        ("Saturday: 09:00–13:00", "Saturday: nine o'clock to one PM"),
        ("12:00 or 12 pm", "twelve o'clock or noon"),
        ("Call 555-0134.", "Call five five five, zero one three four."),
        ("12 Main St. & Oak Ave.", "12 Main Street and Oak Avenue."),
        ("a 50% fee", "a 50 percent fee"),
        ("**Free** parking | behind", "Free parking behind"),
        ("99:99 is no time", "99:99 is no time"),
    ],
)
def test_spoken(written: str, said: str) -> None:
    assert spoken(written) == said


def test_spoken_twice_is_spoken_once() -> None:
    once = spoken("Mon-Fri 9am-5:30pm, $129, call 555-0134")
    assert spoken(once) == once


def test_words_are_what_a_recogniser_writes() -> None:
    assert words("It’s $129 on the 2nd, 9 AM!") == [
        *(["it's", "one", "hundred", "twenty", "nine", "dollars", "on", "the", "second", "nine", "a", "m"]),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "zero"), (17, "seventeen"), (40, "forty"), (129, "one hundred twenty nine"), (2005, "two thousand five")],
)
def test_number_words(value: int, said: str) -> None:
    assert number_words(value) == said


def test_number_words_refuses_a_negative_value() -> None:
    with pytest.raises(ValueError, match="negative"):
        number_words(-1)


def test_ordinals_digits_and_clock() -> None:
    assert [ordinal_words(n) for n in (1, 2, 12, 20, 21)] == ["first", "second", "twelfth", "twentieth", "twenty first"]
    assert digits_words("40-7") == "four zero, seven"
    assert [clock_words(9, 5, "a"), clock_words(0, 0), clock_words(17, 30)] == [
        "nine oh five AM",
        "midnight",
        "five thirty PM",
    ]


def test_sentences_split_early_and_keep_everything() -> None:
    text = "Parking is free. It is behind the building; ask at the desk!"
    assert sentences(text) == ["Parking is free.", "It is behind the building; ask at the desk!"]
    long = "word " * 100
    parts = sentences(long, longest=60)
    assert max(map(len, parts)) <= 61
    assert " ".join(parts).split() == long.split()
