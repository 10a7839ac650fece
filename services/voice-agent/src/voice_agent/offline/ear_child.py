"""The ear's child process: ``python -m voice_agent.offline.ear_child``, messages on standard input and output.

Decoding is Python under the interpreter's lock, so it lives in a process of its own, one per call: the acoustic network turns
audio into phone probabilities, the search turns these into the tenant's words. How far a word can be believed is told by the
likeliest phones alone, which no language model has touched. Exits when its standard input ends, that is, when the call's
process is gone.
"""

import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voice_agent.offline import ear_wire
from voice_agent.offline.acoustic import PHONES, AcousticModel
from voice_agent.offline.hypotheses import HeardWord, Hypotheses, Hypothesis
from voice_agent.offline.lexicon_search import BLANK, LexiconSearch, NGrams
from voice_agent.offline.mel import Floats, LogMel, as_floats
from voice_agent.offline.phonetics import word_confidences
from voice_agent.offline.sound import EAR_RATE

_ALTERNATIVES = 8
_UNEXPECTED = 0.7
Words = tuple[str, ...]


def _lexicon(dictionary: str) -> dict[str, list[list[str]]]:
    """From lines "word PH ON ES" and "word(2) PH ON ES"."""
    found: dict[str, list[list[str]]] = {}
    for line in dictionary.splitlines():
        word, _, phones = line.partition(" ")
        found.setdefault(word.partition("(")[0], []).append(phones.split())
    return found


class Recogniser:
    """One utterance at a time."""

    def __init__(self, arpa: str, dictionary: str) -> None:
        number = {phone: at for at, phone in enumerate(PHONES, BLANK + 1)}
        self._lexicon = _lexicon(dictionary)
        numbered = {word: [[number[p] for p in way] for way in ways] for word, ways in self._lexicon.items()}
        self._ngrams = NGrams(arpa)
        self._search = LexiconSearch(numbered, self._ngrams)
        self._features, self._acoustic = LogMel(), AcousticModel()
        self.start()

    def start(self) -> None:
        """Begins an utterance; an open one is dropped."""
        self._features.start()
        self._acoustic.start()
        self._search.start()
        self._phones: list[int] = []
        self._last = BLANK
        self._samples = 0

    def feed(self, pcm: bytes) -> None:
        """16 kHz mono, 16 bit."""
        samples = np.frombuffer(pcm, np.int16)
        self._samples += len(samples)
        self._take(self._acoustic.feed(self._features(as_floats(samples))))

    def _take(self, frames: Floats) -> None:
        self._search.feed(frames)
        for phone in frames.argmax(axis=1).tolist():
            if phone not in (BLANK, self._last):
                self._phones.append(phone)
            self._last = phone

    def interim(self) -> str:
        """The best reading so far."""
        return self._search.best()

    def finish(self) -> Hypotheses:
        """Ends the utterance."""
        self._take(self._acoustic.finish())
        phones = [PHONES[phone - 1] for phone in self._phones]
        readings = self._search.readings(_ALTERNATIVES) if phones else []
        if readings and not readings[0][0]:  # likelier that nothing was said
            readings = []
        shares = _shares(readings)
        found = tuple(self._judge(words, score, phones, shares) for words, score in readings if words)
        heard = Hypotheses(found, tuple(phones), self._samples / EAR_RATE) if self._samples else Hypotheses()
        self.start()
        return heard

    def _judge(self, words: Words, score: float, phones: list[str], shares: Mapping[str, float]) -> Hypothesis:
        sure = word_confidences(words, phones, self._lexicon)
        # a word that nobody was expected to say after the one before it is often a piece of an unknown word
        pairs = zip(("<s>", *words), words, strict=False)
        known = [1.0 if self._ngrams.pair(*pair) else _UNEXPECTED for pair in pairs]
        heard = (
            HeardWord(word, round(fit * expected * shares[word], 3))
            for word, fit, expected in zip(words, sure, known, strict=True)
        )
        return Hypothesis(tuple(heard), round(score, 3))


def _shares(readings: Sequence[tuple[Words, float]]) -> dict[str, float]:
    """Each word's share of the readings' probability: the less, the more the likeliest readings differ about it."""
    found: defaultdict[str, float] = defaultdict(float)
    odds = [math.exp(score - readings[0][1]) for _, score in readings]
    for (words, _), odd in zip(readings, odds, strict=True):
        for word in set(words):
            found[word] += odd / sum(odds)
    return found


def _load(body: bytes) -> Recogniser:
    size = int.from_bytes(body[:4], "little")
    head: dict[str, Any] = json.loads(body[4 : 4 + size])
    split = 4 + size + int(head["arpa"])
    return Recogniser(body[4 + size : split].decode(), body[split:].decode())


def serve() -> None:
    """Answers messages until the input ends."""
    source, ear = sys.stdin.buffer, None
    # libraries that print must not break the framing: the real output moves away, "1" becomes the error stream
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    while (message := ear_wire.read(source)) is not None:
        kind, body = message
        if kind == ear_wire.LOAD:
            try:
                ear = _load(body)
            except (RuntimeError, ValueError, KeyError, IndexError, OSError) as error:
                answers.write(ear_wire.pack(ear_wire.REFUSED, str(error).encode()))
                continue
            answers.write(ear_wire.pack(ear_wire.LOADED))
        elif ear is None:
            answers.write(ear_wire.pack(ear_wire.REFUSED, b"nothing is loaded yet"))
        elif kind == ear_wire.START:
            ear.start()
        elif kind == ear_wire.AUDIO:
            ear.feed(body)
        elif kind == ear_wire.INTERIM:
            answers.write(ear_wire.pack(ear_wire.HEARD, ear.interim().encode()))
        elif kind == ear_wire.FINISH:
            answers.write(ear_wire.pack(ear_wire.DONE, json.dumps(ear.finish().to_json()).encode()))
        elif kind == ear_wire.ABANDON:
            ear.start()


if __name__ == "__main__":
    serve()
