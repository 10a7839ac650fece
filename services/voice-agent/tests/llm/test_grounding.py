"""The guard before the voice: what can be checked must stand somewhere, in whatever form it is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voice_agent.llm.grounding import Grounds
from voice_agent.offline.spoken import number_words

pytestmark = pytest.mark.unit

GROUNDS = Grounds(
    [
        "Velora peel | 45 min | $129\nDeep clean: $1,250.50. Cancel 24 hours ahead. Members save 20%.",
        "Open Mon-Fri 09:00 to 17:30, Saturday 10:00 to 14:00. Closed on March 3rd. Call (555) 867-5309.",
        "Half past seven on the twelfth of June.",
    ]
)


@pytest.mark.parametrize(
    "sentence",
    [
        "It costs $129.",
        "It costs 129 dollars.",
        "That is one hundred and twenty-nine dollars.",
        "That's one twenty nine.",
        "A hundred twenty nine dollars.",
        "The deep clean is 1,250 dollars and 50 cents.",
        "It is one thousand two hundred fifty dollars and fifty cents.",
        "It takes 45 minutes.",
        "It takes forty-five minutes.",
        "We close at 5:30 PM.",
        "We close at 5.30 p.m.",
        "We close at half past five.",
        "We close at five thirty in the afternoon.",
        "We are open from nine to half past five.",
        "We open at 9 o'clock on weekdays.",
        "On Saturday from ten to two.",
        "On Wednesdays we open at 9 AM.",
        "We are closed on March 3.",
        "We are closed on the third of March.",
        "Please call 555-867-5309.",
        "Please call 867-5309.",
        "Call five five five, eight six seven, five three oh nine.",
        "Members save twenty percent.",
        "Cancel 24 hours ahead, please.",
        "Seven thirty on June 12th.",
        "No one of us knows which one you mean, in May you may come.",
        "I am sure about that.",
    ],
)
def test_what_stands_in_the_texts_may_be_said(sentence: str) -> None:
    assert GROUNDS.support(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "It costs $130.",
        "It costs one hundred and thirty dollars.",
        "That's one twenty eight.",
        "It takes 129 minutes.",
        "It costs 45 dollars.",
        "It is 1,250 dollars and 60 cents.",
        "We close at 5:30 AM.",
        "We close at half past six.",
        "We open at quarter to nine.",
        "We open at eight.",
        "We are open on Sunday.",
        "We are open at the weekend.",
        "We are closed on March 4th.",
        "We are closed in December.",
        "Please call 867-5308.",
        "Call five five five, eight six seven, five three oh eight.",
        "Members save thirty percent.",
        "There are three of them.",
        "Come at noon.",
    ],
)
def test_what_stands_nowhere_is_not_said(sentence: str) -> None:
    assert not GROUNDS.support(sentence)


@settings(deadline=None)
@given(st.integers(2, 99_999))
def test_a_price_is_the_same_price_in_digits_and_in_words(amount: int) -> None:
    grounds = Grounds([f"Cleaning | ${amount:,}"])
    assert grounds.support(f"It costs {amount} dollars.")
    assert grounds.support(f"It costs {number_words(amount)} dollars.")
    assert not grounds.support(f"It costs {amount + 1} dollars.")
    assert not grounds.support(f"It costs {number_words(amount + 1)} dollars.")


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert Grounds([text]).support(text) in (True, False)
