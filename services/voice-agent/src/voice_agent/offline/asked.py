"""What an utterance asks, taken apart: its words by what they say, and the kind of answer it wants. Pure; English."""

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voice_agent.offline import phrases
from voice_agent.offline.asking import Asking, empty_words, meaning
from voice_agent.offline.documents import Fact
from voice_agent.offline.hypotheses import HeardWord
from voice_agent.offline.question import clause_start, explained, ideas
from voice_agent.offline.spoken import words

SAID, _WHOLE = 0.4, 0.7  # confidence below which a word counts as not said, and from which on it counts whole
_UNKNOWN, _LITTLE_UNKNOWN = 0.5, 0.6  # a word, a little word heard less surely than this stands for one we don't know
_SHORT = 8  # words of an utterance that is one question
_STRANGE, _LITTLE_STRANGE = 0.9, 0.5  # weights of such words
IDEA, _LEAST_IDEA = 0.8, 0.4  # what a word that an idiom stands for is worth of one that was said, and at least
_PERSON, _UNIT, _FAINT = 0.2, 0.2, 0.05  # weights of whom a story is about, of "days", in documents of an empty word
_COMMON, _RARE = 5.0, 11.0  # minus the logarithm of a word's share of speech, from which on it counts, and counts whole
_LEAST = 0.15
_UNITS = frozenset({"minute", "hour", "day", "week", "month", "year"})
_MONEY_WORDS = frozenset({"fee", "fees", "expensive", "dollar", "dollars", "money", "bill"})

_PRICE_ASKED = re.compile(
    r"\bhow much (?:is|are|for|does|do|would|will|to|you|it|that|the)\b(?! (?:\w+ ){0,2}notice)|\bhow much$|\bcosts?\b"
    r"|\bprices?\b|\b(?:what|how much) (?:would|will|do|does|did) (?:you|they|i|we|it)(?: guys| have to)?"
    r" (?:take|want|ask|charge|pay|get|run|set)\b|\bdo you charge\b|\bcharge (?:for|me|us)\b|\bexpensive\b|\bfees?\b"
    r"|\bset me back\b|\brun me\b|\bafford\b|\bwhat (?:would|will|is|are|would one of)\b.*\bbe$"
    r"|\bwhat's (?:that|it|this)(?: gonna| going to|) be$|\b(?:will|would) i pay\b|\bpay for\b"
)
_OFTEN_ASKED = re.compile(r"\bhow often\b|\bhow many (?:times|sessions|treatments|visits|appointments)\b")
_SPAN_ASKED = re.compile(
    r"\bhow (?:many|much) (?:\w+ )?(?:minutes|hours|days|weeks|months|years|time|notice)\b"
    r"|\bhow (?:long|soon|early|far ahead|quickly|fast|late|often)\b|\bwhen\b|\bwhat time\b"
)
_COUNT_ASKED = re.compile(
    r"\b(?:old|big|young) enough\b|\btoo (?:young|old)\b|\b(?:year|years) old\b|\bhow (?:many|old|young)\b|\bwhat age\b"
    r"|\bwhich (?:age|bus|tram|line|exit|floor)\b"
)
MONEY = re.compile(
    r"[$€£]\s?\d|\bdollars?\b|\bfree\b|\bno (?:charge|fee)\b|\bnothing\b|\bcharged?\b|\bpercent\b|\bfee\b|%|\bper cent\b",
    re.I,
)
_OFTEN = re.compile(
    r"\b(?:times|every|once|twice|sessions?|treatments?|visits?|an? (?:day|week|month|year)|daily|weekly)\b", re.I
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    r"|eighteen|nineteen|\w+(?:teenth|tieth)|twenty|thirty|forty|fifty|sixty|once|twice|half|every|first|second|third)\b",
    re.I,
)
_TIME = re.compile(
    r"\b(?:minutes?|hours?|days?|weeks?|months?|years?|noon|evenings?|mornings?|afternoons?|night|immediately|same day"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:\d|seven|eight|nine|ten|eleven) in the|always|until|never)\b",
    re.I,
)


@dataclass(frozen=True)
class Question:
    """What was asked.

    ``focus``: what the last clause is about (or the story, where the clause only points to it: then not ``direct``),
    ``story``: the rest; both meaning -> weight. ``named``: meanings of the focus that were said themselves.
    """

    asking: Asking
    clause: str
    direct: bool
    money: bool
    focus: Mapping[str, float]
    named: Mapping[str, float]
    story: Mapping[str, float]
    said: Mapping[str, HeardWord]
    explained: Mapping[str, str]


@functools.cache
def _shares() -> dict[str, float]:
    return {one[0]: -math.log(share) for one, share in phrases.spoken_english() if len(one) == 1}


@functools.lru_cache(maxsize=8192)
def rarity(word: str) -> float:
    """How much a word says, in [0, 1]: nothing of "the", all of "shockwave"."""
    if word in empty_words() or word in _MONEY_WORDS:
        return 0.0
    if word in phrases.word_list("persons.txt") or meaning(word) == meaning("child"):
        return _PERSON
    if word.removesuffix("s") in _UNITS:
        return _UNIT
    return min(1.0, max(_LEAST, (_shares().get(word, _RARE) - _COMMON) / (_RARE - _COMMON)))


@functools.lru_cache(maxsize=4096)
def keys_of(text: str) -> Mapping[str, float]:
    """The meanings of a text of a document, with their weights."""
    found: dict[str, float] = {}
    texts = words(text)
    weighed = [(word, rarity(word) or _FAINT) for word in texts if word not in phrases.function_words()]
    weighed += [(word, max(_LEAST_IDEA, rarity(word))) for word in ideas(" ".join(texts))]
    for word, weight in weighed:
        found[meaning(word)] = max(found.get(meaning(word), 0.0), weight)
    return found


def question_of(asking: Asking) -> Question:
    """One reading, taken apart."""
    heard = asking.reading.words
    texts = [word.text for word in heard]
    start = clause_start(texts)
    if len(texts) <= _SHORT and any(word.confidence < _UNKNOWN for word in heard):
        start = 0  # no story has room before it: what was not understood is a part of the question
    story, focus = _weights(heard[:start]), _weights(heard[start:], texts[start - 1] if start else "")
    direct = bool(focus)
    if not direct:
        focus, story = story, {}
    named = dict(focus)
    for word in heard[start:]:
        little = word.text in phrases.function_words()
        if word.confidence < (_LITTLE_UNKNOWN if little else _UNKNOWN):
            named[f"({word.text})"] = _LITTLE_STRANGE if little else _STRANGE  # no fact has it
    surely = " ".join(word.text for word in heard if word.confidence >= SAID)
    for idea in ideas(surely):
        focus.setdefault(meaning(idea), IDEA * max(_LEAST_IDEA, rarity(idea)))
    said: dict[str, HeardWord] = {}
    for word in heard:
        key = meaning(word.text)
        if word.confidence >= SAID and (key not in said or word.confidence > said[key].confidence):
            said[key] = word
    return Question(
        asking=asking,
        clause=" ".join(texts[start:]),
        direct=direct,
        money=_PRICE_ASKED.search(surely) is not None,
        focus=focus,
        named=named,
        story={key: weight for key, weight in story.items() if key not in focus},
        said=said,
        explained={meaning(word): meaning(idea) for word, idea in explained(" ".join(texts))},
    )


def _weights(heard: Sequence[HeardWord], before: str = "") -> dict[str, float]:
    """What these words are about; "how late" asks for a time, and is about nothing late."""
    found: dict[str, float] = {}
    for word in heard:
        weight = rarity(word.text) * min(1.0, max(0.0, (word.confidence - 0.3) / (_WHOLE - 0.3)))
        if before != "how" and word.confidence >= SAID and weight > 0:
            found[meaning(word.text)] = max(found.get(meaning(word.text), 0.0), weight)
        before = word.text
    return found


def fits(question: Question, fact: Fact) -> int:
    """Whether the fact has the kind of answer that is asked for: 1, -1, or 0 where any kind will do."""
    asked = question.clause
    if question.money:
        needed = MONEY
    elif _OFTEN_ASKED.search(asked):
        needed = _OFTEN
    elif _SPAN_ASKED.search(asked):
        needed = _TIME
    elif _COUNT_ASKED.search(asked):
        needed = _NUMBER
    else:
        return 0
    return 1 if needed.search(fact.says) else -1
