"""Which fact a question is about, and how surely. Pure.

Prices are matched strictly: every word heard in the question's slot must belong to the item's name and the other way
round. Everything else is matched by how much of the question's meaning an entry covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from voice_agent.offline.answers import Passage
from voice_agent.offline.asking import Asking, meaning, stem, weak_meanings, weak_words
from voice_agent.offline.documents import Fact, facts
from voice_agent.offline.hypotheses import HeardWord
from voice_agent.offline.phrases import function_words
from voice_agent.offline.spoken import words

_ARTICLES = frozenset({"a", "an", "the", "of", "your"})
_WEAK, _ONLY_IN_TEXT = 0.3, 0.85
_JUNK, _JUNK_WEIGHT = 0.6, 0.7
_SURELY_SAID = 0.7


@dataclass(frozen=True)
class Known:
    """A fact with the passage that states it."""

    fact: Fact
    passage: Passage
    rank: int


@dataclass(frozen=True)
class ItemMatch:
    """How the slot fits a priced item. `whole`: word for word; otherwise the slot names only a part of it."""

    known: Known
    confidence: float
    whole: bool


@dataclass(frozen=True)
class EntryMatch:
    """How an entry fits a question.

    `coverage`: share of the question's meaning found in the entry, in [0, 1]. `named`: a word that carries meaning
    stands in the entry's question, label or heading, not only somewhere in its text.
    """

    known: Known
    coverage: float
    confidence: float
    likeness: float
    named: bool


def known_facts(passages: Sequence[Passage]) -> list[Known]:
    """Everything that the passages state, best passage first, each statement once."""
    found: dict[tuple[str, str, str], Known] = {}
    for rank, passage in enumerate(passages):
        for fact in facts(passage.text, passage.heading):
            found.setdefault((fact.kind, fact.subject.lower(), fact.says), Known(fact, passage, rank))
    return list(found.values())


def _sure(heard: Sequence[HeardWord]) -> float:
    """Of a name: the mean by letters, but never far above its worst word."""
    letters = sum(len(word.text) for word in heard)
    mean = sum(len(word.text) * word.confidence for word in heard) / letters if letters else 0.0
    return min(mean, min((word.confidence for word in heard), default=0.0) + 0.15)


def match_items(asking: Asking, known: Sequence[Known]) -> list[ItemMatch]:
    """Priced items that the slot names, best first."""
    slot = [word for word in asking.slot if word.text not in _ARTICLES]
    said = [stem(word.text) for word in slot]
    found: list[ItemMatch] = []
    for one in known:
        if one.fact.kind != "price" or not said:
            continue
        name = [stem(word) for word in words(one.fact.subject) if word not in _ARTICLES]
        if said == name:
            found.append(ItemMatch(one, _sure(slot), True))
        elif len(said) < len(name) and _is_part(said, name) and _clean(asking):
            found.append(ItemMatch(one, _sure(slot), False))
    return sorted(found, key=lambda match: (-match.whole, -match.confidence, match.known.rank))


def _clean(asking: Asking) -> bool:
    """Whether every word of the reading was surely said: pieces of an unknown name are taken for little words."""
    return all(word.confidence >= _SURELY_SAID for word in asking.reading.words)


def _is_part(said: Sequence[str], name: Sequence[str]) -> bool:
    return any(list(name[at : at + len(said)]) == list(said) for at in range(len(name) - len(said) + 1))


def names_inside(asking: Asking, known: Sequence[Known]) -> list[ItemMatch]:
    """Priced items whose whole name is among the words heard, with other words around it."""
    said = [word for word in asking.reading.words if word.text not in _ARTICLES]
    stems = [stem(word.text) for word in said]
    found: list[ItemMatch] = []
    for one in known:
        if one.fact.kind != "price":
            continue
        name = [stem(word) for word in words(one.fact.subject) if word not in _ARTICLES]
        for at in range(len(stems) - len(name) + 1):
            if name and stems[at : at + len(name)] == name:
                found.append(ItemMatch(one, _sure(said[at : at + len(name)]), True))
                break
    return sorted(found, key=lambda match: (-len(match.known.fact.subject), -match.confidence))


def sounds_listed(asking: Asking, known: Sequence[Known]) -> bool:
    """Whether a word of the slot is also in the name of something with a price: then a half-heard name is likely."""
    named = {stem(word) for one in known if one.fact.kind == "price" for word in words(one.fact.subject)}
    return any(stem(word.text) in named for word in asking.slot if word.text not in function_words())


def _weight(word: str) -> float:
    return _WEAK if word in weak_words() else 1.0


def match_entries(asking: Asking, known: Sequence[Known]) -> list[EntryMatch]:
    """FAQ entries, labelled lines and paragraphs that say something about the question, best first."""
    asked = {word.text: word for word in asking.content}
    # little words that nobody said stand where an unknown word was: they count as meaning that no entry has
    junk = [w for w in asking.slot if w.text not in asked and w.confidence < _JUNK]
    strong_asked = any(_weight(text) == 1.0 for text in asked)
    total = sum(_weight(text) for text in asked) + _JUNK_WEIGHT * len(junk)
    found: list[EntryMatch] = []
    for one in known:
        if one.fact.kind not in ("answer", "prose") or not total:
            continue
        subject = {meaning(w) for w in words(one.fact.subject)} - function_words()
        text = {meaning(w) for w in words(one.fact.says)} | {meaning(w) for w in words(one.passage.heading)}
        gained, sure, weight = 0.0, 0.0, 0.0
        for word, heard in asked.items():
            place = 1.0 if meaning(word) in subject else _ONLY_IN_TEXT if meaning(word) in text else 0.0
            gained += _weight(word) * place
            if place:
                sure += _weight(word) * heard.confidence
                weight += _weight(word)
        mine = {meaning(word) for word in asked}
        if strong_asked:
            about = any(_weight(w) == 1.0 and (meaning(w) in subject or meaning(w) in text) for w in asked)
        else:  # "how early should i come": nothing else may stand in the entry's question either
            about = not subject - mine - weak_meanings()
        named = any((_weight(w) == 1.0 or not strong_asked) and meaning(w) in subject for w in asked)
        likeness = len(subject & mine) / max(1, len(subject | mine))
        if gained and about:
            found.append(EntryMatch(one, gained / total, sure / weight, likeness, named))
    return sorted(found, key=lambda match: (-match.coverage - 0.5 * match.likeness, match.known.rank))
