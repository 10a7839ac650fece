import random

import pytest
from fleet.draw import Clinic
from fleet.questions import Expected, mentions
from fleet.rivals import draw_rivals, facts_of, overlap, rival_questions
from fleet.tap import Track

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("seed", range(20))
def test_rivals_contradict_each_other_in_everything(seed: int) -> None:
    first, second = draw_rivals(seed)
    assert [one.name for one in first.treatments] == [one.name for one in second.treatments]
    assert [entry.topic for entry in first.faq] == [entry.topic for entry in second.faq]
    assert not set(facts_of(first)) & set(facts_of(second))
    assert first.name != second.name
    assert first.seed != second.seed
    assert (first, second) == draw_rivals(seed)


def said_by(clinic: Clinic) -> list[str]:
    texts = [f"{one.name} costs {one.price} dollars." for one in clinic.treatments]
    return texts + [entry.answer for entry in (*clinic.faq, clinic.long)]


@pytest.mark.parametrize("seed", range(20))
def test_what_one_says_holds_no_fact_of_the_other(seed: int) -> None:
    """Or a right answer would count as a leak."""
    for own, other in (draw_rivals(seed), draw_rivals(seed)[::-1]):
        for text in said_by(own):
            assert not [fact for fact in facts_of(other) if mentions(text, fact)]


@pytest.mark.parametrize("seed", range(10))
def test_both_are_asked_the_same_with_the_others_answer_among_the_choices(seed: int) -> None:
    first, second = draw_rivals(seed)
    ours, theirs = (rival_questions(*pair, random.Random(seed)) for pair in ((first, second), (second, first)))
    assert [one.said for one in ours] == [one.said for one in theirs]
    assert len({one.title for one in ours}) == len(ours) == 3
    for mine, other in zip(ours, theirs, strict=True):
        assert isinstance(mine.expected, Expected)
        assert isinstance(other.expected, Expected)
        assert other.expected.fact in mine.expected.facts
        assert mine.expected.fact not in mine.expected.facts
        assert mine.expected.fact != other.expected.fact


def heard(start: float, end: float) -> Track:
    track = Track("from the agent")
    for index in range(500):
        now = index * 0.02
        track.feed((b"\xb8\x0b" if start <= now < end else b"\0\0") * 160, now)
    return track


def test_overlap_is_the_time_in_which_both_are_spoken_to() -> None:
    assert overlap(heard(1, 4), heard(3, 6)) == pytest.approx(1.0, abs=0.1)
    assert overlap(heard(1, 4), heard(5, 6)) == 0
