"""Two clinics that contradict each other: the same treatments at other prices, the same questions with other answers.

What one of them says is the likeliest wrong answer of the other, so it always stands among the judge's candidates.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from fleet.call import CallOutcome
from fleet.draw import TOWNS, Clinic, Entry, Treatment, draw_clinic
from fleet.judge import Flaw
from fleet.questions import Expected, Question, dollars, expected_entry, mentions, price_question
from fleet.tap import Track

SEED_APART = 10_000_000
"""Two clinics of one seed are two customers."""


def draw_rivals(seed: int) -> tuple[Clinic, Clinic]:
    """The clinic of a seed and another that says something else about everything that it says."""
    first = draw_clinic(seed)
    rng = random.Random(seed + SEED_APART)
    taken = {one.price for one in first.treatments}
    prices = rng.sample([price for price in range(45, 980) if price not in taken], len(first.treatments))
    treatments = tuple(
        Treatment(one.name, rng.randrange(20, 95, 5), price)
        for one, price in zip(first.treatments, prices, strict=True)
    )
    town = rng.choice([town for town in TOWNS if not first.name.startswith(town)])
    second = replace(
        first,
        seed=seed + SEED_APART,
        name=f"{town} Clinic",
        treatments=treatments,
        faq=tuple(contradiction(entry, rng) for entry in first.faq),
        long=contradiction(first.long, rng),
    )
    return first, second


def contradiction(entry: Entry, rng: random.Random) -> Entry:
    """Another answer to the same question."""
    return Entry(entry.topic, rng.choice([value for value in entry.topic.values if value != entry.value]))


def rival_questions(own: Clinic, other: Clinic, rng: random.Random) -> tuple[Question, ...]:
    """Two prices and a rule. With equally seeded `rng`, both clinics are asked the same in the same order."""
    picked = rng.sample(range(len(own.treatments)), 2)
    about = rng.randrange(len(own.faq))
    how = rng.randrange(10**6)
    asked = [
        against(
            price_question(f"price {place + 1}", own, own.treatments[index], random.Random(how + place)),
            dollars(other.treatments[index].price),
        )
        for place, index in enumerate(picked)
    ]
    entry = own.faq[about]
    # In the FAQ's own words: what is tried here is whose answer comes back, not how freely one may ask.
    rule = Question("a rule", entry.topic.asked[0], expected_entry(entry))
    return (*asked, against(rule, expected_entry(other.faq[about]).fact))


def against(question: Question, foreign: str) -> Question:
    """The question with the other clinic's fact among what the answer must not sound like."""
    expected = question.expected
    assert isinstance(expected, Expected)
    return replace(question, expected=replace(expected, facts=tuple(dict.fromkeys((foreign, *expected.facts)))))


def facts_of(clinic: Clinic) -> tuple[str, ...]:
    """Everything that only this one of two rivals says."""
    prices = [dollars(one.price) for one in clinic.treatments]
    return (*prices, *(expected_entry(entry).fact for entry in (*clinic.faq, clinic.long)))


def leaks(outcome: CallOutcome, other: Clinic) -> list[str]:
    """What of the other clinic this caller was told: heard in any answer, also one that was asked for again, or recorded."""
    foreign = facts_of(other)
    found = []
    for exchange in outcome.exchanges:
        verdict = exchange.verdict
        sounds = verdict.heard if verdict.flaw in (Flaw.OTHER, Flaw.UNCLEAR) else ""
        found += [
            f"{exchange.question.title}: {fact}"
            for fact in foreign
            if mentions(sounds, fact) or mentions(exchange.text, fact)
        ]
    turns = outcome.record.turns if outcome.record is not None else ()
    return found + [f"record: {fact}" for fact in foreign for turn in turns if mentions(turn.agent_said, fact)]


def overlap(first: Track, second: Track) -> float:
    """Seconds in which both were being spoken to."""
    return sum(
        max(0.0, min(one.end, two.end) - max(one.start, two.start))
        for one in first.utterances()
        for two in second.utterances()
    )


def verdicts(outcome: CallOutcome) -> str:
    """One line for people: what became of each question, and how often it was asked."""
    parts: Sequence[str] = [
        f"{e.question.title}: {e.verdict.flaw}" + (f" (asked {e.attempt + 1} times)" if e.attempt else "")
        for e in outcome.last_of_each
    ]
    return ", ".join(parts)
