"""What a caller wants, from the words that were heard. Pure; English.

``classify`` turns one reading into an ``Asking``: a piece of talk that needs no documents (greeting, thanks, yes, no,
repeat that ...), a question about a price, a duration, the offer, the opening hours, or anything else; with the words
that say what it is about, each with the ear's confidence.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voice_agent.offline import phrases
from voice_agent.offline.hypotheses import HeardWord, Hypothesis

Talk = Literal["greeting", "goodbye", "thanks", "yes", "no", "repeat", "pardon", "wait"]
Kind = Literal["talk", "price", "duration", "offer", "hours", "other"]

_TALK: dict[Talk, str] = {
    "greeting": r"(?:hello|hi|hey|good (?:morning|afternoon|evening))(?: there| hello)?",
    "goodbye": r"(?:okay |thank you |thanks )*(?:good)?(?:bye|bye bye|see you|have a nice day|that's all|that's it|"
    r"nothing else|no that's all)(?: thank you| thanks| bye)?",
    "thanks": r"(?:okay |great |perfect |no )?(?:thank you|thanks)(?: very much| a lot| so much)?",
    "yes": r"(?:yes|yeah|yep|sure|correct|that's right|right|okay|ok|exactly)(?: please| it is| i did| that's right)*",
    "no": r"(?:no|nope|not really|that's wrong)(?: no| thanks| thank you| that's not it| i didn't| that's wrong)*",
    "repeat": r"(?:sorry |please |pardon )*(?:can you |could you |please |would you )*(?:please )?"
    r"(?:repeat(?: that)?|say (?:that|it) again|speak (?:up|slower|louder))(?: please)?",
    "pardon": r"(?:sorry |pardon |excuse me )*(?:what|pardon|sorry|excuse me|what did you say|come again|"
    r"i didn't (?:catch that|hear you)|i don't understand)",
    "wait": r"(?:please )?(?:wait|hold on|one moment|stop|hang on|just a second)(?: please)?",
}
_TALK_PATTERNS = [(talk, re.compile(rf"(?:{pattern})$")) for talk, pattern in _TALK.items()]

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = "|".join(DAYS)
_HOURS = re.compile(
    r"\b(?:(?:opening|business|office) (?:hours|times)|your hours|hours (?:on|today|tomorrow)"
    r"|are you (?:\w+ )?(?:open|closed)|(?:you|clinic|office) (?:open|close)"
    r"|(?:open|closed?) (?:on|today|tomorrow|now|late)|how late (?:are|is|do|does|will)|what days|which days"
    r"|what time do(?:es)? (?:you|the|your)\b.*\b(?:open|close)\b"
    r"|is the clinic (?:open|closed)|clos(?:e|ing) time|are you there on"
    rf"|can i come(?: in)? (?:on (?:{_DAY})|today|tomorrow|now|at)|what about (?:{_DAY})$)"
)
_PRICE = re.compile(
    r"\bhow much (?:is|are|for|does|do|would|you|to|the|a|an)\b(?! (?:\w+ ){0,2}notice)|\bhow much$|\bcosts?\b|\bprices?\b"
    r"|\bcharge (?:for|me)\b|\bdo you charge\b|\bexpensive\b"
)
_DURATION = re.compile(r"\bhow long (?:does|is|will|do|are|would)\b")
_OFFER = re.compile(
    r"^(?:do you (?:offer|do|have|provide|sell|give)|can i (?:get|book|have|schedule)|i(?:'d| would) like(?: to)?|"
    r"i want(?: to)?|is|are)\b"
)
# What stands before and after the thing that a question is about.
_BEFORE = re.compile(
    r"^(?:hi|hello|hey|and|so|um|okay|yes|no|please|sorry|excuse me|good morning"
    r"|how much (?:is|are|for|does|do|would)|how much|how long (?:is|does|will|do)|how long"
    r"|what does|what do|what would|what's|what is|what are|what about|how about|what|do|does|is|are"
    r"|(?:the )?(?:prices?|costs?) (?:of|on|off|for)|the prices?|prices?|the costs?|the|of|you charge(?: me)?|charge|for"
    r"|can you tell me|could you tell me|do you know|tell me(?: more)? about|tell me"
    r"|i'd like to (?:know|book)|i would like to (?:know|book)|i want to (?:know|book)|i'd like"
    r"|i wanted to ask about|i'm calling about|i said|i asked about|i meant"
    r"|can i (?:get|book|have|schedule)|you (?:offer|do|have|provide|sell|give)"
    r"|about|it|a|an|your|any|me|my|get|getting|having)\b\s*"
)
_AFTER = re.compile(
    r"\s*\b(?:costs?(?: me)?|please|today|now|here|is|take|takes|last|for me|at your clinic|with you|work|available"
    r"|a|an|the|expensive)$"
)


@dataclass(frozen=True)
class Asking:
    """One reading, understood. `slot`: the words that the question is about, in order, without its frame."""

    kind: Kind
    reading: Hypothesis
    slot: tuple[HeardWord, ...] = ()
    content: tuple[HeardWord, ...] = ()
    talk: Talk | None = None
    days: tuple[str, ...] = ()

    @property
    def clarity(self) -> float:
        """How surely the words that matter were heard, in [0, 1]."""
        letters = sum(len(word.text) for word in self.content)
        return sum(len(w.text) * w.confidence for w in self.content) / letters if letters else 0.0


def talk_of(text: str) -> Talk | None:
    """The piece of talk that the whole text is, if it is one."""
    return next((talk for talk, pattern in _TALK_PATTERNS if pattern.match(text)), None)


def _slot(words: tuple[HeardWord, ...]) -> tuple[HeardWord, ...]:
    texts = [word.text for word in words]
    begin, end = 0, len(texts)
    while begin < end and (found := _BEFORE.match(" ".join(texts[begin:end]))):
        begin += len(found[0].split())
    while begin < end and (found := _AFTER.search(" ".join(texts[begin:end]))):
        end -= len(found[0].split())
    return words[begin:end]


@functools.cache
def _asking_words() -> frozenset[str]:
    return phrases.function_words() | phrases.word_list("asking_words.txt")


def content_words(words: tuple[HeardWord, ...]) -> tuple[HeardWord, ...]:
    """The words that carry the subject."""
    return tuple(word for word in words if word.text not in _asking_words())


def words_without_fillers(texts: Sequence[str]) -> list[str]:
    """Without sounds and words that mean nothing, unless nothing else was said."""
    return [text for text in texts if text not in phrases.word_list("filler_words.txt")] or list(texts)


def without_fillers(reading: Hypothesis) -> Hypothesis:
    """The reading without sounds and words that mean nothing, unless nothing else was said."""
    fillers = phrases.word_list("filler_words.txt")
    words = tuple(word for word in reading.words if word.text not in fillers)
    return Hypothesis(words, reading.score) if words else reading


def classify(reading: Hypothesis) -> Asking:
    """Understands one reading."""
    reading = without_fillers(reading)
    text = reading.text
    if talk := talk_of(text):
        return Asking("talk", reading, content=reading.words, talk=talk)
    days = tuple(day for day in DAYS if re.search(rf"\b{day}s?\b", text))
    slot, content = _slot(reading.words), content_words(reading.words)
    if _HOURS.search(text):
        return Asking("hours", reading, slot, content, days=days)
    kind: Kind = "other"
    if _PRICE.search(text):
        kind = "price"
    elif _DURATION.search(text):
        kind = "duration"
    elif _OFFER.search(text):
        kind = "offer"
    return Asking(kind, reading, slot, content, days=days)


@functools.cache
def stem(word: str) -> str:
    """A rough stem, so that "cancel", "cancelled" and "cancellation" meet."""
    word = word.removesuffix("'s").removesuffix("'")
    for ending in ("ations", "ation", "ments", "ings", "ing", "ies", "ied", "led", "ed", "es", "s", "ly", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not (ending == "s" and word.endswith("ss")):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] == word[-2] else word


@functools.cache
def _groups() -> tuple[dict[str, str], dict[str, str]]:
    """The meaning of each word of a group, and of each stem; a word alone on its line has no other forms."""
    words: dict[str, str] = {}
    stems: dict[str, str] = {}
    for line in phrases.data_lines("same_meaning.txt"):
        first, *others = line.split()
        words.update(dict.fromkeys(others, stem(first)) if others else {first: first})
        for other in others:
            stems.setdefault(stem(other), stem(first))
    return words, stems


@functools.cache
def meaning(word: str) -> str:
    """The stem of a word, or that of the first word of its group of synonyms."""
    words, stems = _groups()
    word = word.removesuffix("'s")
    return words.get(word) or stems.get(stem(word), stem(word))


def weak_words() -> frozenset[str]:
    """Words that alone don't say what a question is about."""
    return phrases.word_list("weak_words.txt")


@functools.cache
def _first_of_group() -> dict[str, str]:
    return {word: line.split()[0] for line in phrases.data_lines("same_meaning.txt") for word in line.split()[1:]}


def synonym(word: str) -> tuple[str, ...]:
    """The first word of its group of synonyms, where that is another word."""
    first = _first_of_group().get(word)
    return () if first is None or stem(first) == stem(word) else (first,)


@functools.cache
def empty_words() -> frozenset[str]:
    """Words that say nothing of what a question is about."""
    return _asking_words() | weak_words() | phrases.word_list("describing_words.txt")


@functools.cache
def weak_meanings() -> frozenset[str]:
    """The meanings of weak words and of words without a subject."""
    return frozenset(meaning(word) for word in weak_words() | _asking_words())
