"""When a piece of speech is understood, and when its ear has failed: pure, times come in.

Transcripts of a piece of speech are held back until the caller pauses. Then they are let go together, all from one link; or
the link is given up and all that it said of this piece is dropped. So nothing is ever transcribed twice. Holding them back
costs nothing: the end of the turn is decided by the same silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Final = TypeVar("Final")


@dataclass(slots=True)
class Hearing(Generic[Final]):
    """One piece of speech after another. All times are seconds of one clock."""

    open: bool = False
    finals: list[Final] = field(default_factory=list)
    _ended_at: float | None = None
    _final_at: float = float("-inf")
    _unfinished: bool = False
    _due: float | None = None

    @property
    def waiting(self) -> bool:
        """The caller has stopped; the transcript hasn't come."""
        return self.open and self._ended_at is not None

    @property
    def due(self) -> float | None:
        """When the link is given up; ``None`` while nothing is awaited."""
        return self._due if self.waiting else None

    def began(self) -> None:
        """The caller speaks. Speech that goes on before its transcript has come is the same piece."""
        if not self.open:
            self.open, self.finals, self._unfinished, self._final_at = True, [], False, float("-inf")
        self._ended_at = self._due = None

    def interim(self) -> None:
        self._unfinished = True

    def final(self, final: Final, now: float) -> bool:
        """Whether the piece is understood with this."""
        self.finals.append(final)
        self._final_at, self._unfinished = now, False
        return self.waiting

    def settled(self) -> bool:
        """The link says that nothing more will come of what it was given; whether the piece is understood with this."""
        return self.waiting

    def ended(self, spoke_until: float, deadline: float, *, whole: bool = False) -> bool:
        """The caller has been silent since ``spoke_until``; whether the piece is understood already.

        A transcript that came while they spoke can't hold all of it, unless hardly anything (``whole``) was said since.
        """
        if not self.open:
            return False
        self._ended_at = spoke_until
        self._due = spoke_until + deadline
        return bool(self.finals) and not self._unfinished and (whole or self._final_at >= spoke_until)

    def restart(self, now: float, deadline: float) -> None:
        """Another link begins with the whole piece; what the last one said of it is dropped."""
        self.finals, self._unfinished, self._final_at = [], False, float("-inf")
        if self.waiting:
            self._due = now + deadline

    def close(self) -> list[Final]:
        """The piece is over; its transcripts."""
        finals, self.finals = self.finals, []
        self.open, self._ended_at, self._due, self._unfinished = False, None, None, False
        return finals
