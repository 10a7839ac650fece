"""Which fact answers a question, however it was put: features of each pair, a logistic weight of each, and refusals. Pure.

A question is read as its last clause (what is asked), the story before it, and what its idioms stand for; a fact as its
subject (a name, a question, a heading) and what it says. No feature alone is enough: a "haircut" is near "hair removal",
and a word may be said by chance. What must not be weighed up is refused outright: another kind of answer than was asked
for, and a thing that the fact does not name. The weights were fitted as in ``bench/offline_weights.py``.
"""

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voice_agent.offline import phrases
from voice_agent.offline.asked import IDEA, MONEY, Question, fits, keys_of, question_of, rarity
from voice_agent.offline.asking import Asking, meaning
from voice_agent.offline.documents import Fact
from voice_agent.offline.hypotheses import HeardWord
from voice_agent.offline.matching import Known
from voice_agent.offline.question import ideas
from voice_agent.offline.spoken import sentences, spoken, words

ENTRY_WEIGHTS = (0.31, 0.06, -0.53, 0.32, -0.33, 0.84, -0.03, 0.9, -0.68, 9.23, 1.78)
ITEM_WEIGHTS = (-6.17, -1.0, 1.23, -1.27, 4.99, -0.2, -0.91, 0.74, 0.27, 0.79, 2.0, 4.44, 2.25)
SURE, LIKELY = 0.7, 0.3  # probability from which on a fact is the answer, and from which on it is asked back

_SHORT = 6  # a question of so few words has no room for a story
_KNOWN_SHARE = 0.25, 0.55  # where unknown words stand in the clause, the fact must have this share; of a short question
_ABOVE, _TEXT = 0.8, 0.7  # what a word of a heading and of the text of a fact is worth of one of its subject
_MOST = 2.0  # sums of weights count up to here
_DOMAIN, _OF_DOMAIN = 4, 0.4  # passages with a word that says little among them ("eye" at an eye clinic), its worth
_ORDINARY = 0.3  # similarity of a passage that has little to do with the question
_SECOND = -0.3, 0.3  # how far behind and ahead of the next counts
_ALONE = 0.42, 0.15  # similarity, and how far ahead of an ordinary one, without any shared word
_THING = 0.3  # weight of a word that can name another thing
_NEAR = 0.4, 0.69  # an entry that no word names: as near as this, or so much of the question in its text
_OTHER_PRICED, _OTHER_OFFERED = 0.85, 0.45  # weight of a word of the question that the fact must have
_LEAST_NAMED = 0.15  # weight of a word of a name, at least
_HALF_A_NAME, _MOST_OF_A_NAME = 0.5, 0.75  # share of a name that must be said, and said of one that isn't near
_MODIFIER, _WHOSE = 0.3, 0.6  # weights in a name of a word that callers leave out, and of whom it is for
_HALF, _LEAST = 0.45, 0.22  # share of a question with a strange word, and of a story, that the fact must have


_OFFER_ASKED = re.compile(
    r"^(?:is|are) there\b|^(?:do|can|could|would|if|whether|are) you\b|^(?:can|could|may) (?:i|we) (?:bring|get|buy|have)\b"
    r"|^(?:can|could|may) my\b"
)
_YES_OR_NO = re.compile(
    r"^(?:is|are) there\b|^do you (?:guys |also |maybe |still )?(?:have|do|offer|sell|make|treat|give|teach|rent|provide"
    r"|speak|train|take)\b|^(?:can|could|would) (?:you|i|my|we)\b|^are\b|^i'd like\b"
)
_ATTRIBUTE_ASKED = re.compile(r"\bwhat(?:'s| is) (?:the|your) (\w+)")


@dataclass(frozen=True)
class Match:
    """A fact with the probability that it is the answer. ``heard``: the words that it shares with the question.

    ``doubtful``: it may be another thing of a like name.
    """

    known: Known
    probability: float
    doubtful: bool
    heard: tuple[HeardWord, ...]

    @property
    def surely_heard(self) -> float:
        """The confidence of the least sure shared word; 1 without one."""
        return min((word.confidence for word in self.heard), default=1.0)

    @property
    def confidence(self) -> float:
        """Mean over the shared words."""
        return sum(word.confidence for word in self.heard) / max(1, len(self.heard))


@functools.cache
def _modifiers() -> frozenset[str]:
    """Words of an item's name that callers leave out."""
    return frozenset(meaning(word) for word in phrases.word_list("modifiers.txt"))


def _states_price(question: Question, fact: Fact, domain: frozenset[str]) -> bool:
    """Whether an amount stands in a sentence about what was asked: repairs that cost nothing are no price of a test."""
    asked = {key for key, w in question.focus.items() if w > _THING and key not in domain}
    if asked & keys_of(fact.subject.rpartition(" > ")[2]).keys():
        return MONEY.search(fact.says) is not None
    asked |= {key for key, w in question.story.items() if w > _THING and key not in domain}
    parts = sentences(spoken(fact.says), longest=400)
    return any(MONEY.search(part) and asked & keys_of(part).keys() for part in parts)


@dataclass(frozen=True)
class _Candidate:
    """A fact that is not refused, with its features; by ``near`` and ``strength`` it is compared with the others.

    ``doubtful``: its name has a word that wasn't said, and the question one that the name lacks.
    """

    known: Known
    near: float
    features: tuple[float, ...]
    strength: float
    doubtful: bool = False


def _near(known: Known) -> float:
    """How near retrieval says the passage is; what it didn't look at is like any other."""
    return known.passage.similarity or _ORDINARY


def _place(known: Known) -> Mapping[str, float]:
    """Meaning -> how much its place in the fact counts."""
    fact, heading = known.fact, known.passage.heading
    # of a row its cells with their labels: "Scan: MRI of the knee"
    found = dict.fromkeys(keys_of(fact.quote if fact.kind == "price" else fact.says), _TEXT)
    if heading != fact.subject:
        found.update(dict.fromkeys(keys_of(heading), _ABOVE))
    found.update(dict.fromkeys(keys_of(fact.subject), 1.0))
    return found


def _uncovered(question: Question, place: Mapping[str, float], domain: frozenset[str]) -> float:
    """The weight of the weightiest word that was said and that the fact lacks."""
    return max(
        (
            weight
            for key, weight in question.named.items()
            if key not in place and key not in domain and question.explained.get(key) not in place
        ),
        default=0.0,
    )


def _refused(question: Question, uncovered: float, place: Mapping[str, float]) -> bool:
    """Whether the fact lacks a word without which it can't be the answer."""
    if question.direct and question.money and uncovered >= _OTHER_PRICED:
        return True
    if any(key.startswith("(") for key in question.named):
        shared = sum(w for key, w in question.named.items() if key in place)
        short = len(question.clause.split()) <= _SHORT and not question.money
        if shared < _KNOWN_SHARE[short] * sum(question.named.values()):
            return True
    if question.direct and _OFFER_ASKED.search(question.clause) and uncovered >= _OTHER_OFFERED:
        return True
    attribute = _ATTRIBUTE_ASKED.search(question.clause)
    return attribute is not None and rarity(attribute[1]) > 0 and meaning(attribute[1]) not in place


def _covered(question: Question, place: Mapping[str, float]) -> tuple[float, float]:
    """The weight of the focus that the fact has, and that of all of it; an idiom's word counts where it is found."""
    total = sum(w for key, w in question.focus.items() if key in question.named or key in place)
    return sum(w * place.get(key, 0.0) for key, w in question.focus.items()), total


def _entry(question: Question, known: Known, domain: frozenset[str]) -> _Candidate | None:
    """A question, a labelled line or a paragraph."""
    near, place, fit = _near(known), _place(known), fits(question, known.fact)
    uncovered = _uncovered(question, place, domain)
    if fit < 0 or _refused(question, uncovered, place) or _elsewhere(question, known, uncovered, domain):
        return None
    covered, total = _covered(question, place)
    said = question.focus.keys() | question.story.keys()
    subject = keys_of(known.fact.subject)
    offer = float(_YES_OR_NO.search(question.clause) is not None)
    features = (
        covered / total if total else 0.0,
        min(_MOST, covered),
        sum(w for key, w in subject.items() if key in said) / max(0.01, sum(subject.values())),
        uncovered * question.direct,
        min(_MOST, sum(w * place.get(key, 0.0) for key, w in question.story.items())),
        float(fit),
        offer * uncovered,
        offer * (sum(w for key, w in question.focus.items() if place.get(key) == _TEXT) / total if total else 0.0),
    )
    return _Candidate(known, near, features, features[1])


def _elsewhere(question: Question, known: Known, uncovered: float, domain: frozenset[str]) -> bool:
    """Whether an entry is about something else than the question."""
    if question.money and not _states_price(question, known.fact, domain):
        return True
    near, place = _near(known), _place(known)
    covered, total = _covered(question, place)
    said = question.focus.keys() | question.story.keys()
    if uncovered >= _OTHER_PRICED:
        missing = [w for key, w in keys_of(known.fact.subject).items() if key not in said and key not in domain]
        if max(missing, default=0.0) >= _OTHER_PRICED or (question.direct and covered < _HALF * total):
            return True  # each is about a thing that the other doesn't name
    if not said & place.keys():
        return near < _ALONE[0] or near - _ORDINARY < _ALONE[1]
    if any(place.get(key, 0.0) > _TEXT for key in said) or near >= _NEAR[0]:
        return False
    return covered < _NEAR[1] or _YES_OR_NO.search(question.clause) is not None


def _name_weight(word: str, domain: frozenset[str]) -> float:
    key = meaning(word)
    if key == meaning("child"):
        return _WHOSE
    weight = max(_LEAST_NAMED, rarity(word)) * (_OF_DOMAIN if key in domain else 1.0)
    return min(_MODIFIER, weight) if key in _modifiers() else weight


def _item(question: Question, known: Known, domain: frozenset[str]) -> _Candidate | None:
    """Something with a price."""
    near, place, fact = _near(known), _place(known), known.fact
    uncovered = _uncovered(question, place, domain)
    if _refused(question, uncovered, place) or (not question.money and uncovered >= _OTHER_OFFERED):
        return None
    name = {meaning(w): _name_weight(w, domain) for w in words(fact.subject) if w not in phrases.function_words()}
    name.update({meaning(idea): IDEA for idea in ideas(" ".join(words(fact.subject)))})
    telling = {key: w for key, w in name.items() if key not in _modifiers()} or name
    said = question.said.keys() | question.focus.keys()
    hits = sum(w for key, w in telling.items() if key in said)
    share = hits / max(0.01, sum(telling.values()))
    if share < _HALF_A_NAME or (share < _MOST_OF_A_NAME and near < _NEAR[0]):
        return None
    covered, total = _covered(question, place)
    if not question.direct and covered < _LEAST * total:
        return None
    features = (
        float(_beside_another(question, name)),
        near,
        share,
        sum(w for key, w in name.items() if key in said) / max(0.01, sum(name.values())),
        covered / total if total else 0.0,
        uncovered * question.direct,
        uncovered * (not question.direct),
        min(_MOST, hits),
        float(share >= 0.99),
        float(question.money),
    )
    unsaid = max((w for key, w in telling.items() if key not in said), default=0.0)
    strange, much = (_OTHER_OFFERED, _OTHER_OFFERED) if question.direct else (_OTHER_PRICED, hits)
    doubtful = uncovered >= strange and unsaid >= much
    return _Candidate(known, near, features, features[7], doubtful)


def _beside_another(question: Question, name: Mapping[str, float]) -> bool:
    """Whether an unknown thing's word stands right before or after a word of this name: "running shoes"."""
    for before, after in itertools.pairwise(word.text for word in question.asking.reading.words):
        first, second = meaning(before) in name, meaning(after) in name
        other = before if second else after
        if first != second and rarity(other) > _THING and not (first and other.endswith(("ed", "ing"))):
            return True
    return False


@dataclass(frozen=True)
class Pair:
    """A fact that may answer, compared with the others. ``item``: something with a price."""

    known: Known
    item: bool
    doubtful: bool
    features: tuple[float, ...]


def candidates(question: Question, known: Sequence[Known]) -> list[Pair]:
    """Every fact that is not refused, with its features."""
    counts = Counter(key for one in known if one.passage.similarity for key in _place(one))
    domain = frozenset(key for key, count in counts.items() if count >= _DOMAIN)
    asks_item = question.money or question.asking.kind in ("offer", "duration")
    found: list[tuple[bool, _Candidate]] = []
    for one in known:
        item = one.fact.kind == "price"
        if one.fact.kind == "hours" or (item and not asks_item):
            continue
        if item and not question.money and question.asking.kind == "offer" and fits(question, one.fact):
            continue  # "is he old enough" is no question about a thing on the price list
        made = (_item if item else _entry)(question, one, domain)
        if made is not None:
            found.append((item, made))
    of_kind = [k for k in known if k.fact.kind in ("answer", "prose") or (k.fact.kind == "price" and asks_item)]
    nearness = {k.passage.id: _near(k) for k in of_kind}
    return [Pair(one.known, item, one.doubtful, _compared(one, item, found, nearness)) for item, one in found]


def _compared(
    one: _Candidate, item: bool, found: Sequence[tuple[bool, _Candidate]], nearness: Mapping[str, float]
) -> tuple[float, ...]:
    """The features with how far this fact is ahead of the others of the kind that is asked for."""
    alike = max((other.strength for kind, other in found if kind == item and other is not one), default=0.0)
    others = [near for key, near in nearness.items() if key != one.known.passage.id]
    ahead = max(_SECOND[0], min(_SECOND[1], one.near - max([_ORDINARY, *others])))
    return (*one.features, ahead, max(-1.0, min(1.0, one.strength - alike)))


def matches(asking: Asking, known: Sequence[Known]) -> list[Match]:
    """The facts that may answer, best first."""
    question = question_of(asking)
    found: list[Match] = []
    for pair in candidates(question, known):
        bias, *weights = ITEM_WEIGHTS if pair.item else ENTRY_WEIGHTS
        total = bias + sum(w * value for w, value in zip(weights, pair.features, strict=True))
        place = _place(pair.known)
        shared = tuple(
            question.said[key] for key in (*question.named, *question.story) if key in place and key in question.said
        )
        found.append(Match(pair.known, 1 / (1 + math.exp(-total)), pair.doubtful, shared))
    return sorted(found, key=lambda match: -match.probability)
