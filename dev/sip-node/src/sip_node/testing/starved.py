"""Whether the machine let programs run when they were ready to, as the kernel says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path


class CpuWait:
    """From its making on: how many threads of the processes `pids`, on average, were ready and waited for a CPU. What a
    program does to itself (computing, blocking, sleeping) is no waiting."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = tuple(pids)
        self._since = time.monotonic()
        self._before = self._waited()

    def threads(self) -> float:
        """So many until now. Threads that came meanwhile count, those that ended don't."""
        waited = sum(after - self._before.get(thread, 0) for thread, after in self._waited().items())
        return waited / 1e9 / (time.monotonic() - self._since)

    def _waited(self) -> dict[Path, int]:
        """Nanoseconds, by thread."""
        found = {}
        for pid in self._pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                try:
                    found[thread] = int((thread / "schedstat").read_text().split()[1])
                except (FileNotFoundError, ProcessLookupError):  # ended while we were looking
                    continue
        return found
