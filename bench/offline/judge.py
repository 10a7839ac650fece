"""What an answer was worth, from its text alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from switchboard.contracts.calls import TurnKind
from voice_agent.offline.spoken import number_words, spoken, words

from bench.offline.clinics import Clinic, Question

Verdict = Literal["right", "asked", "dont_know", "wrong", "invented", "other"]
"""``other``: small talk where nothing could be answered. The rest says itself."""

_NUMBERS = frozenset(
    word for value in (*range(20), *range(20, 100, 10), 100, 1000) for word in number_words(value).split()
)
_AMOUNT = re.compile(r"\b(\d[\d,]*(?:\.\d\d)?) dollars?\b")


def judge(clinic: Clinic, question: Question, kind: TurnKind, text: str) -> Verdict:
    """The verdict on one thing that the agent said."""
    if kind == "asked_again":
        return "asked"
    if kind == "dont_know":
        return "dont_know"
    if kind != "answered":
        return "other" if question.form == "nowhere" else "wrong"
    if question.form == "nowhere":
        return "invented"
    said = words(text)
    for way in question.right:
        if all(_says(said, words(phrase)) for phrase in way):
            return "wrong" if _other_price(clinic, way, text) else "right"
    return "wrong"


def _says(said: Sequence[str], phrase: Sequence[str]) -> bool:
    """Word for word; "nine dollars" is not in "twenty nine dollars"."""
    for at in range(len(said) - len(phrase) + 1):
        inside = phrase[0] in _NUMBERS and at > 0 and said[at - 1] in _NUMBERS
        if list(said[at : at + len(phrase)]) == list(phrase) and not inside:
            return True
    return False


def _amounts(text: str) -> set[str]:
    return {found.replace(",", "") for found in _AMOUNT.findall(spoken(text))}


def _other_price(clinic: Clinic, way: Sequence[str], text: str) -> bool:
    """Whether an answer about a price also says one that does not stand in the same line of the documents."""
    wanted = {amount for phrase in way for amount in _amounts(phrase)}
    if not wanted:
        return False
    lines = [line for document in clinic.documents for line in document.text.splitlines()]
    allowed = {amount for line in lines if wanted & _amounts(line) for amount in _amounts(line)}
    return not _amounts(text) <= allowed
