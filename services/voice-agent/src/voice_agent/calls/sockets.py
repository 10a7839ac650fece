"""Unix sockets between a worker and its jobs, in the worker's own folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def bound(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket in a folder of ours, in place of one that was left behind. Only this user's processes can reach it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, kind)
    with short(path) as name:
        made.bind(name)
    path.chmod(0o600)
    return made


@contextmanager
def short(path: Path) -> Iterator[str]:
    """A name for ``path`` that fits into a socket's address (108 bytes), however deep the folder is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
