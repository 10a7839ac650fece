"""A process's system calls on files, written down by strace and read back in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.files import find_program
from fleet.process import ProcessSpec

CALLS = (
    "openat,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,renameat,renameat2,unlinkat,mkdirat,fsync,fdatasync"
)
_LINE = re.compile(r"(\d+) +(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?(?: .*)?")
_UNFINISHED = re.compile(r"(.*) <unfinished \.\.\.>")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_HEX = re.compile(r"((?:\\x[0-9a-f]{2})+)")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(\d+)<((?:\\x[0-9a-f]{2}|[^>])*)>")


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call that succeeded. ``begun`` and ``done`` are its places in the order of all; ``descriptor`` its first one."""

    name: str
    arguments: str
    result: int
    begun: int
    done: int
    descriptor: int | None
    path: Path | None
    strings: tuple[bytes, ...]


def traced(spec: ProcessSpec, output: Path) -> ProcessSpec:
    """``spec`` under strace. Where a process may not be traced it does not start, and its log says so.

    A process also where servers run as containers: strace sees its own children only.
    """
    strace = str(find_program("strace", "run `make test-setup` (Debian package strace)"))
    # -y: descriptors with their paths; -xx and -s: whole contents; the filter runs in the kernel, so that all else is fast.
    options = ("-f", "--seccomp-bpf", "-y", "-xx", "-s", str(2**21), "-e", f"trace={CALLS}", "-e", "signal=none")
    return replace(spec, argv=(strace, *options, "-o", str(output), "--", *spec.argv), container=None)


def child_of(pid: int) -> int:
    """The only child of a process: the one that strace traces."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def read(trace: Path) -> Iterator[SystemCall]:
    """The successful calls, in the order in which they ended."""
    unfinished: dict[str, tuple[int, str]] = {}
    with trace.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            thread, text = _split(line)
            if (cut := _UNFINISHED.fullmatch(text)) is not None:
                unfinished[thread] = (number, cut[1])
                continue
            begun = number
            if (rest := _RESUMED.fullmatch(text)) is not None and thread in unfinished:
                begun, head = unfinished.pop(thread)
                text = head + rest[1]
            call = _parsed(text, begun, number)
            if call is not None:
                yield call


def _split(line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line.rstrip("\n"))
    assert match is not None, f"strace wrote a line that can't be read: {line[:80]!r}"
    return match[1], match[2]


def _parsed(text: str, begun: int, done: int) -> SystemCall | None:
    match = _CALL.fullmatch(text)
    if match is None or int(match[3]) < 0:
        return None  # it failed, or the process ended in it
    name, arguments, result, opened = match[1], match[2], int(match[3]), match[4]
    at = _DESCRIPTOR.match(arguments)
    descriptor = result if name == "openat" else (int(at[1]) if at else None)
    place = opened if name == "openat" else (at[2] if at else None)
    return SystemCall(
        name,
        arguments,
        result,
        begun,
        done,
        descriptor,
        Path(_plain(place).decode()) if place else None,
        tuple(_plain(found) for found in _STRING.findall(arguments)),
    )


def _plain(text: str) -> bytes:
    """``\\x2f`` sequences as bytes; anything else as it stands."""
    parts = _HEX.split(text)
    return b"".join(
        bytes.fromhex(part.replace("\\x", "")) if _HEX.fullmatch(part) else part.encode() for part in parts if part
    )
