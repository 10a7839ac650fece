"""What the ear heard, as plain data that can be logged by length, stored with the turn and replayed."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class HeardWord:
    """One word and how sure it is, in [0, 1]: its fit with the phones heard, times its share of the likeliest readings.

    About the chance that it was said: 0.95 and more of the words at 0.99, two thirds of those at 0.7, a third below 0.6.
    """

    text: str
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """One reading of an utterance. `score`: the recogniser's, higher is better, comparable within one utterance."""

    words: tuple[HeardWord, ...]
    score: float

    @property
    def text(self) -> str:
        """Lower-case words."""
        return " ".join(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """Mean over the words weighted by their length in letters; 0 for nothing."""
        letters = sum(len(word.text) for word in self.words)
        return sum(word.confidence * len(word.text) for word in self.words) / letters if letters else 0.0


@dataclass(frozen=True)
class Hypotheses:
    """All readings of one utterance, best first; empty when nothing was understood.

    `phones`: the likeliest, without any words in mind. `duration`: seconds of audio.
    """

    alternatives: tuple[Hypothesis, ...] = ()
    phones: tuple[str, ...] = ()
    duration: float = 0.0

    @property
    def text(self) -> str:
        """The best reading, or ""."""
        return self.alternatives[0].text if self.alternatives else ""

    @property
    def confidence(self) -> float:
        """Of the best reading."""
        return self.alternatives[0].confidence if self.alternatives else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Hypotheses":
        """The inverse of `to_json`; raises KeyError or TypeError for another shape."""
        read = tuple(
            Hypothesis(tuple(HeardWord(w["text"], w["confidence"]) for w in one["words"]), one["score"])
            for one in raw["alternatives"]
        )
        return cls(read, tuple(raw["phones"]), raw["duration"])

    @classmethod
    def of_text(cls, text: str, *, confidence: float = 1.0) -> "Hypotheses":
        """For text conversations and tests: one reading, every word equally sure."""
        words = tuple(HeardWord(word, confidence) for word in text.split())
        return cls((Hypothesis(words, 0.0),) if words else ())
