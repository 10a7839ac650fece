"""What a voice that is a chain of providers did with one utterance, told to the driver that had it spoken."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from switchboard.contracts.providers import ProviderFault


@dataclass(frozen=True, slots=True)
class BrokenSentence:
    """A sentence that stopped in the middle: of ``text`` only ``voiced``, a beginning of it, made a sound."""

    text: str
    voiced: str


@dataclass(slots=True)
class SpeechAccount:
    """``added``: what the voice said by itself after everything else, "" for nothing."""

    broken: list[BrokenSentence] = field(default_factory=list)
    faults: list[ProviderFault] = field(default_factory=list)
    added: str = ""

    def heard(self, heard: str, *, interrupted: bool) -> str:
        """What the caller really heard, of ``heard``: what the session believes it has played.

        The session doesn't know which sentences stopped in the middle, nor what the voice added. When it was interrupted,
        ``heard`` is a beginning of the text, and nothing is claimed of what was added.
        """
        at = 0
        for sentence in self.broken:
            start = heard.find(sentence.text, at)
            if start >= 0:
                end = start + len(sentence.text)
            else:
                start, end = _beginning_at_end(heard, sentence.text, at), len(heard)
                if start < 0:
                    break
            kept = heard[start:end][: len(sentence.voiced)]
            heard = f"{heard[:start]}{kept}{heard[end:]}"
            at = start + len(kept)
        if self.added and not interrupted:
            heard = f"{heard} {self.added}"
        return heard.strip()


def _beginning_at_end(heard: str, sentence: str, after: int) -> int:
    """Where ``heard`` ends with a beginning of ``sentence``; -1 for nowhere."""
    for start in range(max(after, len(heard) - len(sentence)), len(heard)):
        if sentence.startswith(heard[start:]):
            return start
    return -1


speech_account: ContextVar[SpeechAccount | None] = ContextVar("speech_account", default=None)
"""Set while the driver hands an utterance to the session; the voice, which works in tasks begun then, finds it here."""
