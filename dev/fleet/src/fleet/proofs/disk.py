"""What a disk holds when the power goes: of all that a process wrote, what it had made durable.

The model is that of a journalling file system at its least generous: a file has the content of its last fsync (or what was
written through a descriptor opened with ``O_SYNC``), and is empty without one; names (creations, renames, deletions) are
there, in their order, as of the last fsync of anything. Whether the disk itself keeps what it was told to keep can't be
shown by a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fleet.proofs.trace import SystemCall

_SYNCS = ("fsync", "fdatasync")
_WRITES = ("write", "pwrite64")
_LAST_NUMBER = re.compile(r", (\d+)$")


class NotModelled(Exception):
    """The process did something to its files that this model does not know; the proof would be worth nothing."""


@dataclass
class _File:
    written: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


@dataclass
class _Descriptor:
    file: _File
    through: bool
    append: bool
    position: int = 0


class Disk:
    """The files below ``folder``, which is empty when the trace begins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, _File] = {}
        self._folders: set[Path] = set()
        self._durable_names: dict[Path, _File] = {}
        self._durable_folders: set[Path] = set()
        self._descriptors: dict[int, _Descriptor] = {}

    def replay(self, calls: Iterable[SystemCall]) -> None:
        for call in calls:
            handle = getattr(self, f"_{call.name}", None)
            if call.name in _SYNCS:
                self._sync(call)
            elif call.name in _WRITES:
                self._write(call)
            elif handle is not None:
                handle(call)
            elif self._ours(call.path):
                raise NotModelled(call.name)

    def restore(self, folder: Path) -> None:
        """Write what is durable into ``folder``, as the file system would show it after the power is back."""
        for each in sorted(self._durable_folders):
            (folder / each.relative_to(self._folder)).mkdir(parents=True, exist_ok=True)
        for path, file in self._durable_names.items():
            target = folder / path.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.durable)

    def _ours(self, path: Path | None) -> bool:
        return path is not None and path.is_relative_to(self._folder)

    def _named(self, call: SystemCall, which: int = 0) -> Path:
        path = Path(call.strings[which].decode())
        if not path.is_absolute():
            raise NotModelled(f"{call.name} of a relative path")
        return path

    def _openat(self, call: SystemCall) -> None:
        assert call.descriptor is not None
        self._descriptors.pop(call.descriptor, None)
        path = self._named(call) if call.strings else call.path
        if path is None or not self._ours(path) or path in self._folders or "O_DIRECTORY" in call.arguments:
            return
        if path not in self._files:
            if "O_CREAT" not in call.arguments:
                return  # a folder that was there
            self._files[path] = _File()
        file = self._files[path]
        if "O_TRUNC" in call.arguments:
            file.written.clear()
        through = "O_SYNC" in call.arguments or "O_DSYNC" in call.arguments
        self._descriptors[call.descriptor] = _Descriptor(file, through, "O_APPEND" in call.arguments)

    def _descriptor(self, call: SystemCall) -> _Descriptor | None:
        return self._descriptors.get(call.descriptor or -1) if self._ours(call.path) else None

    def _write(self, call: SystemCall) -> None:
        at = self._descriptor(call)
        if at is None:
            return
        data = call.strings[-1][: call.result]
        if call.name == "pwrite64":
            place = _LAST_NUMBER.search(call.arguments)
            assert place is not None
            start = int(place[1])
        else:
            start = len(at.file.written) if at.append else at.position
            at.position = start + len(data)
        if start > len(at.file.written):
            at.file.written.extend(bytes(start - len(at.file.written)))
        at.file.written[start : start + len(data)] = data
        if at.through:
            at.file.durable = bytes(at.file.written)

    def _lseek(self, call: SystemCall) -> None:
        at = self._descriptor(call)
        if at is not None:
            at.position = call.result

    def _ftruncate(self, call: SystemCall) -> None:
        at = self._descriptor(call)
        size = _LAST_NUMBER.search(call.arguments)
        if at is not None and size is not None:
            length = int(size[1])
            del at.file.written[length:]
            at.file.written.extend(bytes(length - len(at.file.written)))

    def _sync(self, call: SystemCall) -> None:
        at = self._descriptor(call)
        if at is not None:
            at.file.durable = bytes(at.file.written)
        if self._ours(call.path):
            self._durable_names = dict(self._files)
            self._durable_folders = set(self._folders)

    def _mkdirat(self, call: SystemCall) -> None:
        path = self._named(call)
        if self._ours(path):
            self._folders.add(path)

    def _unlinkat(self, call: SystemCall) -> None:
        path = self._named(call)
        self._files.pop(path, None)
        self._folders.discard(path)

    def _renameat(self, call: SystemCall) -> None:
        before, after = self._named(call), self._named(call, 1)
        if not self._ours(before):
            return
        if before in self._files:
            self._files[after] = self._files.pop(before)
            return
        self._folders = {_moved(path, before, after) for path in self._folders}
        self._files = {_moved(path, before, after): file for path, file in self._files.items()}

    _renameat2 = _renameat


def _moved(path: Path, before: Path, after: Path) -> Path:
    return after / path.relative_to(before) if path.is_relative_to(before) else path
