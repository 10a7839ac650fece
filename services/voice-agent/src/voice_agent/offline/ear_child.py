"""The ear's child process: ``python -m voice_agent.offline.ear_child``, messages on standard input and output.

pocketsphinx holds the interpreter's lock while it decodes, so it lives in a process of its own, one per call. Two
recognisers hear the same audio: one with the tenant's words, one that knows phones only and tells how far the first
can be believed. Exits when its standard input ends, that is, when the call's process is gone.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx

from voice_agent.offline import ear_wire
from voice_agent.offline.hypotheses import HeardWord, Hypotheses, Hypothesis
from voice_agent.offline.phonetics import word_confidences
from voice_agent.offline.sound import EAR_RATE, Dither

_NBEST_STEPS, _ALTERNATIVES = 40, 8
_UNEXPECTED = 0.7
_SILENCES = ("SIL", "+")


def _word_pairs(arpa: bytes) -> frozenset[tuple[str, str]]:
    """The word pairs that the language model lists."""
    text = arpa.decode()
    part = text[text.index("\\2-grams:") : text.index("\\3-grams:")]
    return frozenset((line.split()[1], line.split()[2]) for line in part.splitlines()[1:] if line)


class Recogniser:
    """Both decoders over one utterance at a time."""

    def __init__(self, acoustic: str, arpa: bytes, dictionary: bytes, seed: int) -> None:
        stock = Path(pocketsphinx.get_model_path()) / "en-us"
        with tempfile.TemporaryDirectory() as folder:
            language, entries = Path(folder, "tenant.lm"), Path(folder, "tenant.dict")
            language.write_bytes(arpa)
            entries.write_bytes(dictionary)
            # no second pass over the utterance (fwdflat): the text is there 12 ms after the last chunk, not 106
            self._words = pocketsphinx.Decoder(
                hmm=acoustic, lm=str(language), dict=str(entries), fwdflat=False, loglevel="FATAL"
            )
        self._phones = pocketsphinx.Decoder(
            hmm=acoustic, allphone=str(stock / "en-us-phone.lm.bin"), lm=None, dict=None,
            lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL",
        )  # fmt: skip
        self._lexicon: dict[str, list[list[str]]] = {}
        for line in dictionary.decode().splitlines():
            word, _, phones = line.partition(" ")
            self._lexicon.setdefault(word.partition("(")[0], []).append(phones.split())
        self._pairs = _word_pairs(arpa)
        self._dither = Dither(seed)
        self._samples = 0
        self._open = False

    def start(self) -> None:
        """Begins an utterance; an open one is dropped."""
        self.abandon()
        self._words.start_utt()
        self._phones.start_utt()
        self._samples, self._open = 0, True

    def feed(self, pcm: bytes) -> None:
        """16 kHz mono, 16 bit."""
        if not self._open:
            self.start()
        self._samples += len(pcm) // 2
        noisy = self._dither(np.frombuffer(pcm, "<i2")).tobytes()
        self._words.process_raw(noisy)
        self._phones.process_raw(noisy)

    def interim(self) -> str:
        """The best reading so far."""
        found = self._words.hyp() if self._open else None
        return str(found.hypstr) if found else ""

    def abandon(self) -> None:
        """Drops the open utterance."""
        if self._open:
            self._words.end_utt()
            self._phones.end_utt()
            self._open = False

    def finish(self) -> Hypotheses:
        """Ends the utterance."""
        if not self._open or self._samples < EAR_RATE // 20:
            self.abandon()
            return Hypotheses()
        self.abandon()
        said = self._phones.hyp()
        phones = [p for p in said.hypstr.split() if not p.startswith(_SILENCES)] if said else []
        best = self._words.hyp()
        texts: dict[str, float] = {best.hypstr: best.score} if best and best.hypstr else {}
        if texts:
            for _, one in zip(range(_NBEST_STEPS), self._words.nbest(), strict=False):
                if one is None or len(texts) >= _ALTERNATIVES:
                    break
                if one.hypstr:
                    texts.setdefault(one.hypstr, one.score)
        found = tuple(self._judge(text, score, phones) for text, score in texts.items())
        return Hypotheses(found, tuple(phones), self._samples / EAR_RATE)

    def _judge(self, text: str, score: float, phones: list[str]) -> Hypothesis:
        words = text.split()
        sure = word_confidences(words, phones, self._lexicon)
        # a word that nobody was expected to say after the one before it is often a piece of an unknown word
        pairs = zip(["<s>", *words], words, strict=False)
        known = [1.0 if pair in self._pairs else _UNEXPECTED for pair in pairs]
        heard = tuple(HeardWord(w, round(c * k, 3)) for w, c, k in zip(words, sure, known, strict=True))
        return Hypothesis(heard, float(score))


def _load(body: bytes) -> Recogniser:
    size = int.from_bytes(body[:4], "little")
    head: dict[str, Any] = json.loads(body[4 : 4 + size])
    split = 4 + size + int(head["arpa"])
    return Recogniser(head["acoustic"], body[4 + size : split], body[split:], int(head["seed"]))


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
            except (RuntimeError, ValueError, KeyError, OSError) as error:
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
            ear.abandon()


if __name__ == "__main__":
    serve()
