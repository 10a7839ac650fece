"""Facts that the broker could not take, in files of this worker: one for each call, kept until the broker has them.

Words in them are sealed under the tenant's key, as they are in the streams. Every write is given to the operating system
before the call goes on, so that a job that is killed loses nothing that was put aside; a machine that dies may.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog
from switchboard.bus import Message
from switchboard.ids import token

_log = structlog.get_logger(__name__)

SUFFIX = ".facts"


class SpoolFile:
    """The facts of one call. Open means locked: nobody else reads, sends or removes it meanwhile."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self._stream = stream

    @classmethod
    def make(cls, path: Path) -> SpoolFile:
        """Opens the file for its one writer, waiting while somebody sends what it held before."""
        while True:
            stream = path.open("a+b")
            fcntl.flock(stream, fcntl.LOCK_EX)
            if os.fstat(stream.fileno()).st_nlink:
                return cls(path, stream)
            stream.close()  # it was sent and removed while we waited for it

    @classmethod
    def take(cls, path: Path) -> SpoolFile | None:
        """Opens a file that nobody holds; ``None`` when its call still writes it, or it is gone."""
        try:
            stream = path.open("r+b")
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return None
        if not os.fstat(stream.fileno()).st_nlink:
            stream.close()
            return None
        return cls(path, stream)

    def append(self, message: Message) -> None:
        """Behind what is there. Raises OSError when the disk takes no more."""
        line = json.dumps(
            {
                "id": message.id.hex,
                "subject": message.subject,
                "headers": dict(message.headers),
                "payload": base64.b64encode(message.payload).decode(),
            }
        )
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()

    def messages(self) -> Iterator[Message]:
        """What was appended, in that order; a line that was cut short by a crash is named in the log and left out."""
        self._stream.seek(0)
        for line in self._stream:
            try:
                raw = json.loads(line)
                payload = base64.b64decode(raw["payload"])
                message = Message(UUID(hex=raw["id"]), raw["subject"], payload, raw["headers"])
            except (ValueError, KeyError):
                _log.error("an unreadable line in the spool", file=self.path.name)
                continue
            yield message

    def remove(self) -> None:
        """Everything in it is with the broker."""
        self.path.unlink(missing_ok=True)
        self._stream.close()

    def close(self) -> None:
        """Leaves the file for whoever sends what is in it."""
        self._stream.close()


class Spool:
    """The folder, shared by the worker and its jobs. ``limit`` is how many bytes it may hold."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def make(self, tenant_id: UUID, call_id: UUID, epoch: int) -> SpoolFile:
        """The file of one call. Raises OSError when the folder can't be written to."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SpoolFile.make(self._folder / f"{token(tenant_id)}.{token(call_id)}.{epoch}{SUFFIX}")

    def has_room(self) -> bool:
        """Whether more should be put here."""
        return self.size() < self._limit

    def size(self) -> int:
        """Bytes that wait."""
        return sum(size for _, size, _ in self._files())

    def left(self) -> Iterator[SpoolFile]:
        """The files whose call is over, oldest first. Close or remove each."""
        for _, _, path in sorted(self._files()):
            taken = SpoolFile.take(path)
            if taken is not None:
                yield taken

    def of_tenant(self, tenant_id: UUID) -> list[Path]:
        """For the eraser."""
        return [path for _, _, path in self._files() if path.name.startswith(token(tenant_id) + ".")]

    def _files(self) -> list[tuple[int, int, Path]]:
        """When each was written last (ns), how long it is (bytes), and where; others may remove them meanwhile."""
        found: list[tuple[int, int, Path]] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size, path))
        return found
