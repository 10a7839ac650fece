"""What the demo's caller asks, and what a right answer to it sounds like."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.draw import Clinic, Entry, Treatment
from fleet.judge import Flaw, Judge, Verdict
from fleet.speech import Samples

PRICE_QUESTIONS = ("how much is the {}", "what does the {} cost", "how much do you charge for the {}")


@dataclass(frozen=True)
class Expected:
    """A right answer says `fact`, and `about` when it names what it is about. The others are what it must not sound like.

    `fact` and `about` are words as the agent says them; `facts` and `abouts` hold the wrong ones of the same kind.
    """

    fact: str
    facts: tuple[str, ...]
    about: str = ""
    abouts: tuple[str, ...] = ()

    def verdict(self, judge: Judge, sound: Samples, text: str) -> Verdict:
        """From the sound. `text` is what the agent says it said: it only supplies the words around the fact."""
        if not text:
            # Without any words the sound alone must hold the fact.
            return judge.spot(sound, self.fact, self.facts)
        right = self.put_right(text)
        if right is None:
            return Verdict.wrong(Flaw.NOT_ANSWERED, f"it doesn't say {self.fact!r}")
        others = [instead(right, self.fact, other) for other in self.facts]
        others += [instead(right, self.about, other) for other in self.abouts if self.about]
        if text != right and text not in others:
            others.append(text)
        verdict = judge.choose(sound, right, others)
        if verdict.ok and text != right:
            return Verdict(False, f"reported is {text!r}", verdict.ranked, verdict.margin, Flaw.MISREPORTED)
        return verdict

    def put_right(self, text: str) -> str | None:
        """The text with the right fact about the right thing in the place of a wrong one; None when it has neither."""
        for said, others in ((self.fact, self.facts), (self.about, self.abouts)):
            if said and not mentions(text, said):
                wrong = next((other for other in others if mentions(text, other)), None)
                if wrong is None:
                    return None
                text = instead(text, wrong, said)
        return text


@dataclass(frozen=True)
class NotKnown:
    """A right answer says that the documents don't say: none of the clinic's facts is in it, nor heard in its place."""

    facts: tuple[str, ...]
    answers: tuple[str, ...]

    def verdict(self, judge: Judge, sound: Samples, text: str) -> Verdict:
        """`text` must hold no fact, be no question back alone, and be what was heard rather than any answer."""
        if not text:
            return Verdict.wrong(Flaw.NOT_ANSWERED, "it isn't known what the agent said")
        said = next((fact for fact in self.facts if mentions(text, fact)), None)
        if said is not None:
            return Verdict.wrong(Flaw.INVENTED, f"it answers with {said!r}")
        if not re.search(r"\b(?:don't|do not|not|couldn't|no)\b", text) or re.match(
            r"(?i)sorry, (?:i didn't|did you)", text
        ):
            return Verdict.wrong(Flaw.NOT_ANSWERED, "it doesn't say that it doesn't know")
        return judge.choose(sound, text, self.answers)


@dataclass(frozen=True)
class Question:
    """`title` for people, `said` for espeak-ng. `interrupts`: it is asked in the middle of the answer to that one."""

    title: str
    said: str
    expected: Expected | NotKnown
    subject: str = ""
    interrupts: Question | None = None


def questions(clinic: Clinic, rng: random.Random) -> list[Question]:
    """One answered in the PDF only, one in the FAQ only, one nowhere, and one that interrupts a long answer."""
    first, second = rng.sample(clinic.treatments, 2)
    entry = rng.choice(clinic.faq)
    long = clinic.long
    return [
        price_question("a price, in the PDF only", clinic, first, rng),
        Question("a rule, in the FAQ only", rng.choice(entry.topic.asked), expected_entry(entry)),
        Question("nowhere in the documents", rng.choice(clinic.absent.asked), not_known(clinic)),
        price_question(
            "a price, interrupting the agent",
            clinic,
            second,
            rng,
            opening="excuse me ",
            interrupts=Question("a rule with a long answer", rng.choice(long.topic.asked), expected_entry(long)),
        ),
    ]


def price_question(
    title: str,
    clinic: Clinic,
    treatment: Treatment,
    rng: random.Random,
    opening: str = "",
    interrupts: Question | None = None,
) -> Question:
    """Asks for one row of the price list; every other price and treatment of this clinic is a wrong answer."""
    near = {treatment.price + 10, treatment.price - 10, treatment.price + 100, treatment.price + 5}
    prices = sorted(near | {one.price for one in rng.sample(clinic.treatments, 4)} - {treatment.price})
    expected = Expected(
        fact=dollars(treatment.price),
        facts=tuple(dollars(price) for price in prices),
        about=treatment.name,
        abouts=tuple(one.name for one in rng.sample(clinic.treatments, 5) if one != treatment),
    )
    said = opening + rng.choice(PRICE_QUESTIONS).format(treatment.name.lower())
    return Question(title, said, expected, subject=treatment.name, interrupts=interrupts)


def expected_entry(entry: Entry) -> Expected:
    """The drawn value among the others it could have been, with the words beside it."""

    def phrase(value: str) -> str:
        around = re.search(r"(\S+ )?\{value\}( \w+)?", entry.topic.answer)
        assert around is not None, "every answer has a value"
        return around[0].format(value=value)

    return Expected(phrase(entry.value), tuple(phrase(value) for value in entry.topic.values if value != entry.value))


def not_known(clinic: Clinic) -> NotKnown:
    """Any answer that this clinic's documents could give is wrong."""
    answers = [f"{one.name} costs {dollars(one.price)}." for one in clinic.treatments[:4]]
    # What could be made up about the topic itself belongs to them.
    invented = [Entry(clinic.absent, value) for value in clinic.absent.values]
    answers += [entry.answer for entry in (*clinic.faq, *invented)]
    facts = [dollars(one.price) for one in clinic.treatments]
    facts += [expected_entry(entry).fact for entry in (*clinic.faq, clinic.long, *invented)]
    return NotKnown(tuple(facts), tuple(answers))


def dollars(price: int) -> str:
    return f"{price} dollars"


def mentions(text: str, words: str) -> bool:
    """Whether these words stand in the text, in this order, whatever the case and the punctuation."""
    return f" {plain(words)} " in f" {plain(text)} "


def instead(text: str, words: str, other: str) -> str:
    """The text with other words in the place of these."""
    pattern = r"\W+".join(re.escape(word) for word in words.split())
    return re.sub(rf"(?i)\b{pattern}\b", other, text)


def plain(text: str) -> str:
    """Lower-case words only."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def asks_back_about(text: str, subjects: Sequence[str]) -> str | None:
    """The one subject that a question back names ("did you ask about ...?"); None when there is none or several."""
    if not text.rstrip().endswith("?"):
        return None
    named = [subject for subject in subjects if mentions(text, subject)]
    return named[0] if len(named) == 1 else None
