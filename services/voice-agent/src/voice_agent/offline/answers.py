"""What the answerer is given and what it decides, as plain data."""

from dataclasses import dataclass
from typing import Literal

from voice_agent.offline.asking import Talk


@dataclass(frozen=True)
class Passage:
    """One retrieved passage. `score`: the retrieval's, higher is better; only used between equals.

    `similarity`: cosine between its meaning and the nearest reading's; 0 for what was not retrieved by meaning.
    """

    id: str
    document_id: str
    heading: str
    text: str
    score: float = 0.0
    similarity: float = 0.0


@dataclass(frozen=True)
class Answer:
    """Something the documents say. `quote` is the span of the passage that says it, `subject` what it is about."""

    text: str
    passage_id: str
    quote: str
    subject: str
    confidence: float


@dataclass(frozen=True)
class AskAgain:
    """The caller must say it again, or say yes to a guess.

    `guess` is what "yes" would be answered with (reason "which"), or what the same words heard once more will be.
    """

    reason: Literal["silence", "unclear", "which", "rejected"]
    prompt: str
    guess: Answer | None = None


@dataclass(frozen=True)
class DontKnow:
    """Clearly heard, but the documents don't say (or not understood after asking twice: `understood` is false)."""

    text: str
    understood: bool = True


@dataclass(frozen=True)
class SmallTalk:
    """Needs no documents. For "repeat" and "pardon" `text` is what was said last."""

    talk: Talk
    text: str


Decision = Answer | AskAgain | DontKnow | SmallTalk
