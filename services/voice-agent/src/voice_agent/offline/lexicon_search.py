"""From phone probabilities to words: a beam search over the tenant's words and their trigrams, frame by frame.

Connectionist temporal classification (CTC): the acoustic model gives for each frame the probabilities of "no new phone"
(blank, index 0) and of each phone. A hypothesis is the words so far and a place in the tree of all pronunciations; its score
is the best path's probability, the language model's, and a look-ahead to the likeliest word that the place can become.
Pure Python: a frame costs well under a millisecond, because few phones are likely in any frame and most frames are blank.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLANK = 0
_NEVER = -1e30
_LN10 = math.log(10)
_END = "</s>"


class NGrams:
    """An ARPA trigram model. Scores are natural logarithms."""

    def __init__(self, arpa: str) -> None:
        self._log: dict[tuple[str, ...], float] = {}
        self._backoff: dict[tuple[str, ...], float] = {}
        order = 0
        for line in arpa.splitlines():
            if line.startswith("\\"):
                order = int(line[1]) if line.endswith("-grams:") else 0
            elif order and line:
                parts = line.split()
                gram = tuple(parts[1 : order + 1])
                self._log[gram] = float(parts[0]) * _LN10
                if len(parts) > order + 1:
                    self._backoff[gram] = float(parts[order + 1]) * _LN10

    def pair(self, before: str, word: str) -> bool:
        """Whether the pair is listed."""
        return (before, word) in self._log

    def word(self, word: str) -> float:
        """Of the word anywhere."""
        return self._log.get((word,), -15.0)

    def score(self, context: tuple[str, ...], word: str) -> float:
        """Of the word after up to two others."""
        spent = 0.0
        while context:
            found = self._log.get((*context, word))
            if found is not None:
                return spent + found
            spent += self._backoff.get(context, 0.0)
            context = context[1:]
        return spent + self.word(word)


class _Node:
    __slots__ = ("ahead", "children", "phone", "words")

    def __init__(self, phone: int) -> None:
        self.phone = phone
        self.children: dict[int, _Node] = {}
        self.words: list[str] = []
        self.ahead = _NEVER


def _tree(lexicon: Mapping[str, Iterable[Sequence[int]]], ngrams: NGrams) -> _Node:
    root = _Node(BLANK)
    for word, ways in lexicon.items():
        likely = ngrams.word(word)
        for way in ways:
            node = root
            for phone in way:
                node = node.children.setdefault(phone, _Node(phone))
                node.ahead = max(node.ahead, likely)
            if word not in node.words and node is not root:
                node.words.append(word)
    root.ahead = 0.0
    return root


class _Said:
    """The words of a hypothesis, newest last, as a chain that hypotheses share."""

    __slots__ = ("before", "context", "log", "next", "word")

    def __init__(self, before: "_Said | None", word: str, context: tuple[str, ...], log: float) -> None:
        self.before = before
        self.word = word
        self.context = context
        self.log = log
        self.next: dict[str, _Said] = {}

    def words(self) -> tuple[str, ...]:
        found: list[str] = []
        at: _Said | None = self
        while at is not None and at.before is not None:
            found.append(at.word)
            at = at.before
        return tuple(reversed(found))


@dataclass(frozen=True)
class Weights:
    """`language`: of the language model beside the acoustic one. `word`: added for each word, against too few of them.

    `beam`: hypotheses kept. `width`: how far behind the best a kept one may be. `floor`: log probability below which a
    phone isn't tried. `skip`: the least log probability of "no new phone": what it costs to leave out a phone that fits no
    word, so that an unknown word spoils only itself.
    """

    language: float = 0.5
    word: float = 0.0
    beam: int = 150
    width: float = 17.0
    floor: float = -9.0
    skip: float = -5.0


_Key = tuple[_Said, _Node, int]


class LexiconSearch:
    """Over one utterance at a time. `lexicon`: word -> pronunciations, each of phone indices (1 and up)."""

    def __init__(
        self, lexicon: Mapping[str, Iterable[Sequence[int]]], ngrams: NGrams, weights: Weights | None = None
    ) -> None:
        self._ngrams = ngrams
        self._weights = weights or Weights()
        self._root = _tree(lexicon, ngrams)
        self.start()

    def start(self) -> None:
        """Begins an utterance."""
        begin = _Said(None, "", ("<s>",), 0.0)
        # key -> (ends in blank, ends in its phone), both log probabilities of the best path
        self._beam: dict[_Key, tuple[float, float]] = {(begin, self._root, BLANK): (0.0, _NEVER)}

    def feed(self, frames: NDArray[np.float32]) -> None:
        """Log probabilities (frames, phones + 1)."""
        likely = frames > self._weights.floor
        for at, row in enumerate(frames.tolist()):
            phones = [p for p in np.flatnonzero(likely[at]).tolist() if p != BLANK]
            if phones:
                self._step(row, phones)
            else:
                blank = row[BLANK]
                self._beam = {k: (max(v) + blank, _NEVER) for k, v in self._beam.items()}

    def _step(self, row: list[float], phones: list[int]) -> None:
        moved: dict[_Key, tuple[float, float]] = {}
        blank, root = max(row[BLANK], self._weights.skip), self._root
        for key, (quiet, voiced) in self._beam.items():
            said, node, last = key
            best = max(quiet, voiced)
            old = moved.get(key, (_NEVER, _NEVER))
            moved[key] = (max(old[0], best + blank), max(old[1], voiced + row[last]) if last else old[1])
            children = node.children
            for phone in phones:
                child = children.get(phone)
                if child is None:
                    continue
                score = (quiet if phone == last else best) + row[phone]
                if score <= _NEVER / 2:
                    continue
                if child.children:
                    to = (said, child, phone)
                    old = moved.get(to, (_NEVER, _NEVER))
                    if score > old[1]:
                        moved[to] = (old[0], score)
                for word in child.words:
                    to = (self._then(said, word), root, phone)
                    old = moved.get(to, (_NEVER, _NEVER))
                    if score > old[1]:
                        moved[to] = (old[0], score)
        self._prune(moved)

    def _then(self, said: _Said, word: str) -> _Said:
        found = said.next.get(word)
        if found is None:
            log = self._weights.language * self._ngrams.score(said.context, word) + self._weights.word
            found = _Said(said, word, (said.context[-1], word), said.log + log)
            said.next[word] = found
        return found

    def _total(self, key: _Key, scores: tuple[float, float]) -> float:
        return max(scores) + key[0].log + self._weights.language * key[1].ahead

    def _prune(self, moved: dict[_Key, tuple[float, float]]) -> None:
        weight = self._weights.language
        ranked = [(max(v) + k[0].log + weight * k[1].ahead, k, v) for k, v in moved.items()]
        least = max(ranked, key=lambda one: one[0])[0] - self._weights.width
        ranked = [one for one in ranked if one[0] >= least]
        if len(ranked) > self._weights.beam:
            ranked.sort(key=lambda one: one[0], reverse=True)
            del ranked[self._weights.beam :]
        self._beam = {key: scores for _, key, scores in ranked}

    def best(self) -> str:
        """The likeliest words so far; a word that isn't finished is left out."""
        key = max(self._beam, key=lambda k: self._total(k, self._beam[k]))
        return " ".join(key[0].words())

    def readings(self, count: int) -> list[tuple[tuple[str, ...], float]]:
        """The likeliest sentences with their log scores, best first."""
        ends: dict[tuple[str, ...], float] = {}
        whole = {k: v for k, v in self._beam.items() if k[1] is self._root} or self._beam
        for (said, _, _), scores in whole.items():
            end = self._weights.language * self._ngrams.score(said.context, _END)
            words, total = said.words(), max(scores) + said.log + end
            ends[words] = max(total, ends.get(words, _NEVER))
        return sorted(ends.items(), key=lambda one: -one[1])[:count]
