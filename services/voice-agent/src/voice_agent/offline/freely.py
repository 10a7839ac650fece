"""What a free-spoken question is about: words that mean the same, in any order, and how near retrieval says it is. Pure.

Fillers, stories and detours stand around what callers want. So here nothing is said about the words that an entry lacks;
instead the entry's own words must have been said, and the passage must be near the question in meaning. Either alone is
not enough: a "haircut" is near "hair removal", and a word may be said by chance.
"""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.offline import phrases
from voice_agent.offline.asking import Asking, meaning, weak_meanings
from voice_agent.offline.hypotheses import HeardWord
from voice_agent.offline.matching import Known
from voice_agent.offline.spoken import words

_SAID, _WHOLE = 0.4, 0.7  # confidence below which a word counts as not said, and from which on it counts whole
_JUNK = 0.5  # confidence of a word that stands for something else
_SURELY = 0.62  # confidence of the words of an item's name for an answer at once
_SHORT, _MOST = 6, 0.6  # a question of so few words has no room for a story: this share must be about the entry
_WORD = 0.12  # what a shared word is worth, in similarity
_SURE, _LIKELY, _NEAR = 0.53, 0.49, 0.26
_FAIRLY_NEAR = 0.38  # similarity of a sure match
_UNRELATED = 0.4  # similarity below which a word in the text alone is there by chance
_ALONE, _ALONE_AHEAD = 0.42, 0.18  # similarity, and how far before the next passage, without any shared word
_MONEY = re.compile(
    r"\bhow much\b|\bcosts?\b|\bprices?\b|\bcharges?\b|\bpay\b|\bexpensive\b|\bfees?\b|\bdollars\b|\brates?\b"
    r"|\bset me back\b|\brun me\b|\b(?:want|take|ask) for\b|\bwhat (?:would|will|do|does|is|are|would one of) .*\bbe$"
    r"|\bwhat's (?:that|it) (?:gonna|going to)\b|\bdo you (?:sell|offer|do|have)\b|\bafford\b"
)
_COUNTED = re.compile(
    r"^(?:so |and |well |hi |hello )*(?:how (?:many|long|often|soon|old|late)|when|what time|where)\b"
)


@dataclass(frozen=True)
class FreeMatch:
    """`worth` orders matches. `sure`: enough to answer at once; otherwise only when it is heard a second time.

    `heard`: the words that the entry shares with the question.
    """

    known: Known
    asking: Asking
    heard: tuple[HeardWord, ...]
    worth: float
    sure: bool

    @property
    def confidence(self) -> float:
        """Mean over the shared words."""
        return sum(word.confidence for word in self.heard) / max(1, len(self.heard))


@functools.cache
def _modifiers() -> frozenset[str]:
    """Words of an item's name that callers leave out."""
    return frozenset(meaning(word) for word in phrases.word_list("modifiers.txt"))


def _strong(text: str) -> frozenset[str]:
    return frozenset(meaning(word) for word in words(text) if word not in phrases.function_words()) - weak_meanings()


def _said(asking: Asking) -> dict[str, HeardWord]:
    """Meaning -> the word that carries it, of what was surely said."""
    found: dict[str, HeardWord] = {}
    for word in asking.reading.words:
        key = meaning(word.text)
        if word.confidence >= _SAID and (key not in found or word.confidence > found[key].confidence):
            found[key] = word
    return found


def about_money(asking: Asking) -> bool:
    """Whether a price is asked for, in whatever words."""
    text = " ".join(word.text for word in asking.reading.words if word.confidence >= _SAID)
    return _MONEY.search(text) is not None and not _COUNTED.search(text)


def free_items(asking: Asking, known: Sequence[Known]) -> list[FreeMatch]:
    """Priced items that a question in free speech names, best first.

    All of a name's telling words were said; or its noun alone; or a part of it while no other item is as near.
    """
    said, found = _said(asking), list[FreeMatch]()
    priced = [one for one in known if one.fact.kind == "price"]
    nearness = sorted((one.passage.similarity for one in priced), reverse=True)
    for one in priced:
        name = _strong(one.fact.subject) | {meaning(w) for w in words(one.fact.subject)} & _modifiers()
        telling = (name - _modifiers()) or name
        shared = tuple(said[key] for key in name if key in said)
        if not telling & said.keys() or _goes_on(asking, name):
            continue
        near, whole = one.passage.similarity, telling <= said.keys()
        ahead = near - next((other for other in nearness if other < near), 0.0) if near == nearness[0] else 0.0
        another = _beside_another(asking, name)
        part = not another and near >= 0.38 and ahead >= (0.04 if len(shared) > 1 else 0.08)
        head = not another and near >= 0.45 and near == nearness[0] and _bare_head(asking, one.fact.subject, name)
        good = whole and not another and near >= 0.35 and near >= nearness[0] - 0.12
        sure = (good or part or head) and min(word.confidence for word in shared) >= _SURELY
        if whole or part or head:
            found.append(FreeMatch(one, asking, shared, len(shared) + whole + near, sure))
    return sorted(found, key=lambda match: -match.worth)


def _beside_another(asking: Asking, name: frozenset[str]) -> bool:
    """Whether an unknown noun or name stands before a word of this name: "chocolate peel" is not another peel."""
    texts = [word.text for word in asking.reading.words]
    for before, text in itertools.pairwise(texts):
        if meaning(text) in name and meaning(before) not in name and before not in _little():
            return True
    return False


@functools.cache
def _little() -> frozenset[str]:
    """Words that don't make another thing of the noun that they stand beside."""
    lists = ("function_words.txt", "asking_words.txt", "common_words.txt", "weak_words.txt", "describing_words.txt")
    return frozenset().union(*(phrases.word_list(name) for name in lists))


def _bare_head(asking: Asking, subject: str, name: frozenset[str]) -> bool:
    """Whether the name's noun was said on its own: "a veneer" is a "porcelain veneer", a "chocolate peel" is no peel."""
    nouns = [meaning(word) for word in words(subject.split(",")[0]) if meaning(word) in name - _modifiers()]
    texts = [word.text for word in asking.reading.words]
    for at, text in enumerate(texts):
        if nouns and meaning(text) == nouns[-1]:
            before = texts[at - 1] if at else ""
            return not before or before in _little() or meaning(before) in name
    return False


def _goes_on(asking: Asking, name: frozenset[str]) -> bool:
    """Whether a noun of its own follows the name directly: "velora peel package" is not a velora peel."""
    texts = [word.text for word in asking.reading.words]
    for before, text, after in zip(texts, texts[1:], texts[2:], strict=False):
        inside = meaning(before) in name and meaning(text) in name
        if inside and meaning(after) not in name and after not in _little():
            return True
    return False


@functools.cache
def _empty() -> frozenset[str]:
    """Words that say nothing of what a question is about."""
    lists = ("function_words.txt", "asking_words.txt", "weak_words.txt", "describing_words.txt")
    return frozenset().union(*(phrases.word_list(name) for name in lists))


def _weight(word: HeardWord) -> float:
    return min(1.0, max(0.0, (word.confidence - 0.3) / (_WHOLE - 0.3)))


def free_entries(asking: Asking, known: Sequence[Known]) -> list[FreeMatch]:
    """Questions, labelled lines and paragraphs that share words and meaning with what was said, best first."""
    said = {
        key: word for key, word in _said(asking).items() if key not in weak_meanings() and word.text not in _empty()
    }
    short = len(asking.reading.words) <= _SHORT
    junk = sum(word.confidence < _JUNK for word in asking.reading.words if meaning(word.text) not in said)
    several = Counter(one.passage.id for one in known)
    nearness = {one.passage.id: one.passage.similarity for one in known}
    found: list[FreeMatch] = []
    for one in known:
        near = one.passage.similarity
        if one.fact.kind not in ("answer", "prose") or not near:
            continue
        subject = _strong(f"{one.fact.subject} {one.passage.heading if one.fact.kind == 'prose' else ''}")
        text = _strong(one.fact.says) - subject
        named, stated = [key for key in said if key in subject], [key for key in said if key in text]
        shared = min(3.0, sum(_weight(said[key]) for key in named) + 0.6 * sum(_weight(said[key]) for key in stated))
        ahead = near - max((other for key, other in nearness.items() if key != one.passage.id), default=0.0)
        if not shared and (several[one.passage.id] > 1 or near < _ALONE or ahead < _ALONE_AHEAD):
            continue
        if shared and not named and near < _UNRELATED:
            continue
        if short and shared < _MOST * (sum(map(_weight, said.values())) + junk):
            continue
        worth = near + _WORD * shared + 0.5 * max(0.0, min(ahead, 0.3))
        if worth >= _LIKELY and near >= _NEAR:
            heard = tuple(said[key] for key in (*named, *stated))
            clear = min((word.confidence for word in heard), default=1.0) >= _SURELY
            found.append(FreeMatch(one, asking, heard, worth, worth >= _SURE and near >= _FAIRLY_NEAR and clear))
    return sorted(found, key=lambda match: -match.worth)
