"""Where things live: the checkout's `var/`, the user's cache folder, programs on PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from fleet.process import FleetError


class FleetFiles:
    """Folders. Nothing is written outside the checkout and the cache folder."""

    @staticmethod
    def checkout() -> Path:
        """The folder of the repository that this package is installed from (editable)."""
        return Path(__file__).resolve().parents[4]

    @staticmethod
    def cache() -> Path:
        """Downloads and built things that survive a fresh clone."""
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "switchboard"

    @classmethod
    def var(cls) -> Path:
        """Run state of this checkout; private to the user and ignored by git."""
        folder = cls.checkout() / "var"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read (configuration with secrets), replacing it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(path)


def find_program(name: str, remedy: str) -> Path:
    """A program on PATH, or FleetError with what to do."""
    found = shutil.which(name)
    if found is None:
        raise FleetError(f"{name} is missing: {remedy}")
    return Path(found)
