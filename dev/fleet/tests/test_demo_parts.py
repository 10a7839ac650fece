import random
import re
from datetime import UTC, datetime

import numpy as np
import pypdfium2
import pytest
from fleet.api import LiveEvent, Timings, Turn
from fleet.dialogue import Exchange, LiveWords
from fleet.documents import faq, price_list
from fleet.draw import Clinic, draw_clinic
from fleet.judge import Flaw, Judge, Verdict
from fleet.questions import (
    Expected,
    NotKnown,
    asks_back_about,
    dollars,
    expected_entry,
    instead,
    mentions,
    not_known,
    questions,
)
from fleet.speech import Samples
from fleet.view import stages

pytestmark = pytest.mark.unit

SOUND: Samples = np.zeros(800, dtype=np.int16)


class Ear(Judge):
    """A judge that hears what it was told, and remembers what it was offered."""

    def __init__(self, heard: str) -> None:
        self.hears, self.offered = heard, [""]

    def choose(self, heard: Samples, expected: str, others: object) -> Verdict:
        self.offered = [expected, *others]  # type: ignore[misc]
        return Verdict(expected == self.hears, f"it sounds like {self.hears!r} instead", (), 0.1)


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_draws_the_same_clinic_and_another_seed_another(seed: int) -> None:
    clinic = draw_clinic(seed)
    assert clinic == draw_clinic(seed)
    assert clinic != draw_clinic(seed + 1)
    assert len({one.name for one in clinic.treatments}) == len({one.price for one in clinic.treatments}) == 12
    assert clinic.absent not in [entry.topic for entry in (*clinic.faq, clinic.long)]
    assert re.fullmatch(r"\+1555\d{7}", clinic.number)


@pytest.mark.parametrize("seed", range(5))
def test_each_answer_stands_in_one_document_only(seed: int) -> None:
    clinic = draw_clinic(seed)
    pdf = pypdfium2.PdfDocument(price_list(clinic))
    page = pdf[0]
    text_page = page.get_textpage()
    prices = text_page.get_text_range()
    for held in (text_page, page, pdf):
        held.close()
    rules = faq(clinic).decode()
    asked = questions(clinic, random.Random(seed))
    assert len(asked) == 4
    for treatment in clinic.treatments:
        assert treatment.name in prices
        assert f"${treatment.price}" in prices
        assert treatment.name not in rules
    for entry in clinic.faq:
        assert entry.answer in rules
        assert entry.topic.question not in prices
    assert clinic.absent.question not in prices + rules
    assert asked[2].said in clinic.absent.asked
    assert asked[3].interrupts is not None
    assert len(clinic.long.answer.split()) > 30


def price_answer(clinic: Clinic) -> tuple[Expected, str]:
    asked = questions(clinic, random.Random(1))[0]
    assert isinstance(asked.expected, Expected)
    return asked.expected, f"{asked.subject} costs {asked.expected.fact}."


def test_wrong_prices_and_other_treatments_are_among_the_choices() -> None:
    clinic = draw_clinic(3)
    expected, text = price_answer(clinic)
    ear = Ear(text)
    assert expected.verdict(ear, SOUND, text).ok
    assert len(ear.offered) == len(set(ear.offered)) > 8
    treatment = next(one for one in clinic.treatments if dollars(one.price) == expected.fact)
    assert text.replace(expected.fact, dollars(treatment.price + 10)) in ear.offered
    others = [one.name for one in clinic.treatments if one != treatment]
    assert any(text.replace(treatment.name, other) in ear.offered for other in others)


def test_words_alone_are_not_enough() -> None:
    expected, text = price_answer(draw_clinic(3))
    assert not expected.verdict(Ear("something else"), SOUND, text).ok


def test_another_price_fails_whatever_is_heard() -> None:
    expected, text = price_answer(draw_clinic(3))
    near = text.replace(expected.fact, expected.facts[0])
    assert not expected.verdict(Ear(near), SOUND, near).ok
    assert expected.verdict(Ear(text), SOUND, near).flaw is Flaw.MISREPORTED
    wrong = text.replace(expected.fact, "1 dollars")
    assert "doesn't say" in expected.verdict(Ear(wrong), SOUND, wrong).reason
    other = text.replace(expected.about, "Nothing peel")
    assert not expected.verdict(Ear(other), SOUND, other).ok


def test_what_counts_as_not_knowing() -> None:
    clinic = draw_clinic(4)
    expected = not_known(clinic)
    assert isinstance(expected, NotKnown)
    plain = "I'm sorry, I don't have that in our information. Is there anything else I can help you with?"
    assert expected.verdict(Ear(plain), SOUND, plain).ok
    answer = f"{clinic.treatments[0].name} costs {clinic.treatments[0].price} dollars, I don't know more."
    assert "answers with" in expected.verdict(Ear(answer), SOUND, answer).reason
    topic = clinic.absent
    invented = f"{topic.answer.format(value=topic.values[0])} I do not know more."
    assert expected.verdict(Ear(invented), SOUND, invented).flaw is Flaw.INVENTED
    back = "Sorry, I didn't quite catch that. Could you say it again, please?"
    assert not expected.verdict(Ear(back), SOUND, back).ok
    assert not expected.verdict(Ear("Sure!"), SOUND, "Sure!").ok
    assert not expected.verdict(Ear(""), SOUND, "").ok
    assert not expected.verdict(Ear("something else"), SOUND, plain).ok


@pytest.mark.parametrize("seed", range(10))
def test_every_rule_has_a_fact_and_wrong_ones_of_its_kind(seed: int) -> None:
    clinic = draw_clinic(seed)
    for entry in (*clinic.faq, clinic.long):
        expected = expected_entry(entry)
        assert mentions(entry.answer, expected.fact)
        assert len(expected.facts) >= 3
        for other in expected.facts:
            assert not mentions(entry.answer, other)
            assert instead(entry.answer, expected.fact, other) != entry.answer


def test_words_are_compared_whatever_their_case_and_punctuation() -> None:
    assert mentions("Amber peel, costs 129 dollars.", "amber Peel costs")
    assert not mentions("It costs 1290 dollars", "129 dollars")
    assert instead("Velvet Wrap costs 9 dollars", "velvet wrap", "Amber peel") == "Amber peel costs 9 dollars"


def test_a_question_back_names_one_subject() -> None:
    names = ["Amber peel", "Velvet wrap"]
    assert asks_back_about("Sorry, did you ask about Velvet wrap?", names) == "Velvet wrap"
    assert asks_back_about("Sorry, which one do you mean: Amber peel or Velvet wrap?", names) is None
    assert asks_back_about("Velvet wrap costs 108 dollars.", names) is None


def event(speaker: str, text: str, final: bool = True) -> LiveEvent:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return LiveEvent(kind="words", call_id="c", at=at, speaker=speaker, text=text, final=final)


async def test_only_final_words_of_one_side_count() -> None:
    words = LiveWords()
    words.add(1.0, event("agent", "Hello"))
    words.add(2.0, event("caller", "how mu", final=False))
    words.add(3.0, event("agent", "It costs 9 dollars."))
    assert words.said("agent", 0.0) == "Hello It costs 9 dollars."
    assert await words.wait_said("agent", 2.5, timeout=1) == "It costs 9 dollars."
    assert await words.wait_said("agent", 3.5, timeout=0.01) == ""


def test_the_waterfall_counts_from_the_callers_last_sound() -> None:
    base = 1_700_000_000.0

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(base + seconds, UTC)

    marks = dict.fromkeys(Timings.model_fields) | {"end_of_turn": at(0.6), "first_audio": at(0.9)}
    turn = Turn.model_validate(
        {
            "turn": 1,
            "kind": "answered",
            "caller_said": [],
            "agent_said": "",
            "caller_heard": "",
            "interrupted": False,
            "passages": [],
            "timings": marks,
        }
    )
    asked = questions(draw_clinic(1), random.Random(1))[0]
    exchange = Exchange(asked, asked.said, 0, base, base + 1.1, "", Verdict(True, "", (), 0.0))
    found = dict(stages(exchange, turn))
    assert found["end of turn"] == pytest.approx(0.6)
    assert found["retrieval"] is None
    assert found["heard by caller"] == pytest.approx(1.1)
