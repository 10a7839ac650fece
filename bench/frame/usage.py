"""CPU and memory of a process with everything it started."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants that are alive. ``psutil.NoSuchProcess`` when it is not."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def cpu_s(pids: Sequence[int]) -> float:
    """CPU seconds, user and system, that the processes and all their descendants have used so far.

    A live process counts by its CPU clock (nanoseconds; see clock_getcpuclockid(3)), a descendant that has ended by what the
    kernel added to its parent's account when it was waited for (/proc/<pid>/stat, hundredths of a second).
    """
    return sum(_own(process) for pid in pids for process in _alive(pid))


def _own(process: psutil.Process) -> float:
    try:
        ended = process.cpu_times()
        return time.clock_gettime((~process.pid << 3) | 2) + float(ended.children_user + ended.children_system)
    except (psutil.NoSuchProcess, OSError):  # ended between the list and the look; its parent has it now or soon
        return 0.0


def _alive(pid: int) -> Iterator[psutil.Process]:
    yield from tree(pid)


def pss_bytes(pids: Sequence[int]) -> int:
    """Proportional set size of the processes and their descendants: what is shared counts in equal parts (smaps_rollup)."""
    total = 0
    for process in (process for pid in pids for process in _alive(pid)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def pin(pids: Sequence[int], cores: Sequence[int]) -> None:
    """Binds every thread of the processes and their descendants to ``cores``; no effect where there are fewer cores."""
    allowed = [core for core in cores if core < (psutil.cpu_count() or 1)]
    for process in (process for pid in pids for process in _alive(pid)):
        if allowed:
            process.cpu_affinity(allowed)
