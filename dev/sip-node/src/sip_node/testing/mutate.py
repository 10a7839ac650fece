"""Seeded damage to SIP messages, and what a process keeps open."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

_SPLICES: Final = (
    b"\r\n",
    b"\x00",
    b"\xff\xfe",
    b"%s%n",
    b";tag=",
    b'"',
    b"<",
    b">",
    b"@",
    b"99999999999",
    b"-1",
    b"\r\n ",
    b"a" * 3000,
)
_LONGEST: Final = 60000


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, doubled, replaced by awkward pieces, lines dropped, doubled or swapped."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(1, len(data)))
        kind = rng.randrange(7)
        if kind == 0:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data = data[:at] + rng.choice(_SPLICES) + data[at:]
        elif kind == 3:
            data = data[:at] + data[at + rng.randint(1, 40) :]
        else:
            data = _line_changed(data, kind, rng)
    return data[:_LONGEST]


def _line_changed(data: bytes, kind: int, rng: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    index = rng.randrange(len(lines))
    if kind == 4:
        del lines[index]
    elif kind == 5:
        lines.insert(rng.randrange(len(lines)), lines[index])
    else:
        name, _, _ = lines[index].partition(b":")
        lines[index] = name + b": " + bytes(rng.randrange(256) for _ in range(rng.randrange(30)))
    return b"\r\n".join(lines)


def udp_ports(pid: int) -> set[int]:
    """The UDP ports a process has bound (IPv4 and IPv6), as the kernel says."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # closed while we were looking
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for name in ("udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
