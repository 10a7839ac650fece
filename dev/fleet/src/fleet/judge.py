"""What did the caller hear? Judged from the returned sound alone.

Forced choice: each candidate sentence is synthesised with the agent's voice and speed and laid over what was heard by time
warping; the nearest wins. An absolute score can't tell near twins apart, so the confusable alternatives (another
price, another treatment) always belong among the candidates. Silence and pieces of a sentence are refused beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from fleet.features import COARSE, FINE, local_costs, speech_features, warp
from fleet.speech import Samples, Synthesizer, Voice
from fleet.tap import Track
from fleet.voice_activity import FRAME_SECONDS, Utterance, in_samples

SHORTEST_SPEECH = 0.4
LENGTH_RATIO = (0.8, 1.25)
FARTHEST = 0.6
FARTHEST_PHRASE = 0.4
CLEAREST_MARGIN = 0.004
MIN_OVERLAP = 0.3


class Flaw(StrEnum):
    """Of which kind the reason of a verdict is."""

    NONE = "right"
    SILENCE = "silence"
    PIECE = "a piece of the sentence"
    OTHER = "another answer"
    UNLIKE = "unlike anything offered"
    UNCLEAR = "between two answers"
    NOT_ANSWERED = "no answer to the question"
    INVENTED = "an answer that no document gives"
    MISREPORTED = "other words than those reported"


@dataclass(frozen=True)
class Ranked:
    """A candidate with its distance (0: the same sound; about 1: unrelated speech) and heard length / its own length."""

    text: str
    distance: float
    length_ratio: float


@dataclass(frozen=True)
class Verdict:
    """`ok` is whether the expected candidate was heard; `reason` says why not. `ranked` is nearest first."""

    ok: bool
    reason: str
    ranked: tuple[Ranked, ...]
    margin: float
    flaw: Flaw = Flaw.NONE

    @classmethod
    def wrong(cls, flaw: Flaw, reason: str) -> Verdict:
        """A verdict for which nothing had to be compared."""
        return cls(False, reason, (), 0.0, flaw)

    @property
    def heard(self) -> str:
        """The nearest candidate; empty for silence."""
        return self.ranked[0].text if self.ranked else ""


class Judge:
    """Compares with the agent's voice. `split` cuts a text into what the agent speaks in one go (its sentences)."""

    def __init__(
        self, synthesizer: Synthesizer, agent: Voice, split: Callable[[str], list[str]] = lambda text: [text]
    ) -> None:
        self._synthesizer = synthesizer
        self._agent = agent
        self._split = split

    def sound_of(self, text: str) -> Samples:
        """How the agent would say this."""
        return np.concatenate([self._synthesizer.speak(part, self._agent) for part in self._split(text)])

    def seconds_of(self, text: str) -> float:
        """How long the agent would speak, without the silence at both ends."""
        spoken = in_samples(self.sound_of(text))
        return spoken[-1].end - spoken[0].start if spoken else 0.0

    def choose(self, heard: Samples, expected: str, others: Sequence[str]) -> Verdict:
        """Whether `expected`, as a whole sentence, is what was heard, rather than one of `others`."""
        if (refusal := too_little(heard)) is not None:
            return refusal
        ranked = self._rank(heard, [expected, *(text for text in others if text != expected)], anywhere=False)
        best, margin = ranked[0], margin_of(ranked)
        flaw, reason = Flaw.NONE, ""
        # First the length: what is nearest to half a sentence is chance, and none of the candidates was said.
        if not LENGTH_RATIO[0] <= best.length_ratio <= LENGTH_RATIO[1]:
            flaw, reason = Flaw.PIECE, f"what was heard lasts {best.length_ratio:.2f} times as long as the sentence"
        elif best.distance > FARTHEST:
            flaw, reason = Flaw.UNLIKE, f"nothing offered is near what was heard ({best.distance:.2f})"
        elif best.text != expected:
            flaw, reason = Flaw.OTHER, f"it sounds like {best.text!r} instead"
        elif margin < CLEAREST_MARGIN:
            flaw, reason = Flaw.UNCLEAR, f"it can't be told from {ranked[1].text!r} (margin {margin:.3f})"
        return Verdict(not reason, reason, tuple(ranked), margin, flaw)

    def spot(self, heard: Samples, expected: str, others: Sequence[str]) -> Verdict:
        """Whether `expected`, a phrase such as a price, occurs somewhere in what was heard, rather than one of `others`."""
        if (refusal := too_little(heard)) is not None:
            return refusal
        ranked = self._rank(heard, [expected, *(text for text in others if text != expected)], anywhere=True)
        best, margin = ranked[0], margin_of(ranked)
        flaw, reason = Flaw.NONE, ""
        if best.distance > FARTHEST_PHRASE:
            flaw, reason = Flaw.UNLIKE, f"no phrase offered is near anything that was heard ({best.distance:.2f})"
        elif best.text != expected:
            flaw, reason = Flaw.OTHER, f"it sounds like {best.text!r} instead"
        elif margin < CLEAREST_MARGIN:
            flaw, reason = Flaw.UNCLEAR, f"it can't be told from {ranked[1].text!r} (margin {margin:.3f})"
        return Verdict(not reason, reason, tuple(ranked), margin, flaw)

    def _rank(self, heard: Samples, candidates: Sequence[str], anywhere: bool) -> list[Ranked]:
        # Whole sentences: every moment of what was heard must fit. Phrases: every moment of the phrase must.
        features = speech_features(heard, FINE if anywhere else COARSE)
        rows = []
        for text in candidates:
            pattern = speech_features(self.sound_of(text), COARSE if anywhere else FINE)
            costs = local_costs(pattern, features) if anywhere else local_costs(features, pattern)
            ratio = (
                len(features) * (FINE if anywhere else COARSE) / max(1, len(pattern) * (COARSE if anywhere else FINE))
            )
            rows.append(Ranked(text, warp(costs, anywhere), ratio))
        return sorted(rows, key=lambda row: row.distance)


def margin_of(ranked: Sequence[Ranked]) -> float:
    """How much nearer the nearest is than the second; 1 when there is no second."""
    return ranked[1].distance - ranked[0].distance if len(ranked) > 1 else 1.0


def too_little(heard: Samples) -> Verdict | None:
    """Why this can't be an answer at all: silence, or a sound too short to be words."""
    spoken = in_samples(heard)
    if not spoken:
        return Verdict.wrong(Flaw.SILENCE, "nothing was heard")
    if sum(part.seconds for part in spoken) < SHORTEST_SPEECH:
        return Verdict.wrong(Flaw.PIECE, "only a short sound was heard")
    return None


@dataclass(frozen=True)
class Interruption:
    """`ok`: the agent fell silent while the caller still spoke. `seconds`: from the caller's first sound to that silence."""

    ok: bool
    reason: str
    seconds: float


def interrupted(heard: Track, caller: Utterance, full_length: float | None = None) -> Interruption:
    """Whether the returned RTP fell silent while the caller still spoke.

    `caller` is the interrupting utterance. The agent must have been speaking when it began, and silent from some moment
    on until the caller's end, for at least MIN_OVERLAP seconds. `full_length`: how long the agent's utterance would at
    least have been, when known; then it must have been cut short by that much, so that its ordinary end doesn't count.
    """
    parts = heard.utterances()
    part = next((part for part in parts if part.start < caller.start < part.end), None)
    if part is None:
        return Interruption(False, "the agent was not speaking when the caller began", 0.0)
    if part.end > caller.end - MIN_OVERLAP:
        return Interruption(False, "the agent went on until the caller had finished", part.end - caller.start)
    if full_length is not None and part.seconds > full_length - MIN_OVERLAP - FRAME_SECONDS:
        return Interruption(False, "the agent had finished by itself", part.end - caller.start)
    return Interruption(True, "", part.end - caller.start)
