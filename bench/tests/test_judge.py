"""The benches' own parts: the judge can't be fooled by a near answer, and voices and lines are shared out evenly."""

from __future__ import annotations

import pytest
from switchboard.contracts.calls import TurnKind

from bench.offline.clinics import Clinic, Document, Question, load
from bench.offline.judge import judge
from bench.offline.trials import plan, word_errors

pytestmark = pytest.mark.unit

TEXT = "| Crown | $129 |\n| Root canal | $29 | $50 deposit |\nCall before nine in the morning."
CLINIC = Clinic("d", "D", (), (Document("fees.md", "text/markdown", TEXT.encode(), TEXT),), ())


def asked(*right: str) -> Question:
    return Question("d", "covered" if right else "nowhere", "how much", tuple((phrase,) for phrase in right))


@pytest.mark.parametrize(
    ("right", "kind", "said", "verdict"),
    [
        (("29 dollars",), "answered", "Root canal costs 29 dollars, and deposit 50 dollars.", "right"),
        (("29 dollars",), "answered", "Crown costs 129 dollars.", "wrong"),  # ends with the right words
        (("29 dollars",), "answered", "It costs 29 dollars. A crown costs 129 dollars.", "wrong"),
        (("nine in the morning",), "answered", "Call before 9 in the morning.", "right"),
        (("29 dollars", "one crown"), "answered", "One crown.", "right"),
        (("29 dollars",), "small_talk", "You're welcome.", "wrong"),
        (("29 dollars",), "asked_again", "Did you mean root canal for 29 dollars?", "asked"),
        ((), "answered", "Root canal costs 29 dollars.", "invented"),
        ((), "dont_know", "I don't have that.", "dont_know"),
        ((), "small_talk", "You're welcome.", "other"),
    ],
)
def test_verdicts(right: tuple[str, ...], kind: TurnKind, said: str, verdict: str) -> None:
    assert judge(CLINIC, asked(*right), kind, said) == verdict


def test_each_voice_and_line_gets_equally_many_questions() -> None:
    clinic = load("test", 1)[0]
    trials = plan(clinic, "test", quick=False, conditions=2, seed=1)
    covered = [(t.voice.name, t.noise) for t in trials if t.question.form == "covered"]
    assert {covered.count(pair) for pair in covered} == {4}
    assert len(set(covered)) == 10


def test_word_errors() -> None:
    assert word_errors(["how", "much", "is", "a", "crown"], ["how", "much", "a", "brown"]) == 2
    assert word_errors([], ["a"]) == 1
