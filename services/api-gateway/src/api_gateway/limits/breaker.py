"""Whether to ask a server that may be away: after a few failures in a row nobody does, but for one try now and then."""

from __future__ import annotations

from switchboard.clock import Clock


class Breaker:
    """Closed: everybody asks. Open after ``failures`` in a row: one at a time tries, each ``rest_s``; a success closes it."""

    def __init__(self, clock: Clock, *, failures: int = 3, rest_s: float = 1.0) -> None:
        self._clock = clock
        self._most = failures
        self._rest_s = rest_s
        self._failed = 0
        self._next_try = 0.0

    @property
    def closed(self) -> bool:
        return self._failed < self._most

    def permits(self) -> bool:
        """Whether to ask now. While it is open, the one who may is also the only one for the next ``rest_s``."""
        if self.closed:
            return True
        now = self._clock.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + self._rest_s
        return True

    def succeeded(self) -> bool:
        """Whether this closed it."""
        was_open = not self.closed
        self._failed = 0
        return was_open

    def failed(self) -> bool:
        """Whether this opened it."""
        was_closed = self.closed
        self._failed += 1
        self._next_try = self._clock.monotonic() + self._rest_s
        return was_closed and not self.closed
