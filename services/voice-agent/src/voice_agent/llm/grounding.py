"""The guard before the voice: what can be checked in a sentence must stand in what the agent was given.

A model may invent; a price that nobody set is worse than no answer. This looks at each sentence before it is spoken, and
knows nothing of the model: prompts ask, this decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import cast

from voice_agent.llm.claims import Fact, claims, facts


class Grounds:
    """Everything that may be said, from ``texts``: passages, the configuration, the caller's own words."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._facts: dict[str, set[Fact]] = defaultdict(set)
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        for fact in facts(text):
            self._facts[fact[0]].add(fact)

    def support(self, sentence: str) -> bool:
        """Whether each claim of ``sentence`` stands in one of the texts."""
        return all(any(all(map(self._stands, reading)) for reading in claim) for claim in claims(sentence))

    def _stands(self, fact: Fact) -> bool:
        kind = fact[0]
        if kind == "number":
            return self._number(fact)
        if kind == "time":
            return self._time(fact)
        if kind == "phone":
            return self._phone(cast("str", fact[1]))
        if kind == "month":
            return fact in self._facts["month"] or any(date[1] == fact[1] for date in self._facts["date"])
        return fact in self._facts[kind]

    def _number(self, fact: Fact) -> bool:
        """A price doesn't stand for minutes; a number without a unit may be of any."""
        value, unit = cast("Decimal", fact[1]), fact[2]
        for _, known, of in self._facts["number"]:
            if known == value and (not unit or not of or unit == of):
                return True
        # "from nine to five" where hours are written as 09:00 to 17:00
        whole_hour = not unit and 1 <= value <= 12 and value == int(value)
        return whole_hour and any(known == int(value) % 12 * 60 for _, known, _ in self._facts["time"])

    def _time(self, fact: Fact) -> bool:
        minutes, half = cast("int", fact[1]), fact[2]
        if any(known == minutes and (not half or not of or half == of) for _, known, of in self._facts["time"]):
            return True
        return minutes % 60 == 0 and ("number", Decimal(minutes // 60 or 12).normalize(), "") in self._facts["number"]

    def _phone(self, digits: str) -> bool:
        """With or without the country's and the area's code."""
        return any(
            (len(digits) >= 7 and (str(known).endswith(digits) or digits.endswith(str(known)))) or known == digits
            for _, known, _ in self._facts["phone"]
        )
