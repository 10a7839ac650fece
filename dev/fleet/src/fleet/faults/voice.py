"""Faults of the agent's voice: a program called espeak-ng that the voice agent finds before the real one.

Without a fault it becomes the real one at once. A fault concerns only what is spoken (`--stdout`), not the
pronunciations that the ear asks for, and begins with the next sentence.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.files import find_program

PROGRAM = "espeak-ng"
HEADER = 44
"""Bytes of the WAV header that the agent takes off."""

SCRIPT = """#!/bin/sh
# Stands before the real {program} of one fleet; see fleet.faults.voice.
fault=none
read -r fault < {switch}
case "$fault $*" in
  muted*--stdout*)
    # As long as the real thing, and every sample zero.
    {real} "$@" | {{ head -c {header}; tr '\\001-\\377' '\\000'; }} ;;
  halved*--stdout*)
    # Breaks off in the middle, as a program that dies does.
    whole=$(mktemp) && {real} "$@" > "$whole"
    size=$(wc -c < "$whole")
    head -c $(({header} + (size - {header}) / 4 * 2)) "$whole"
    rm -f "$whole" ;;
  reworded*--stdout*)
    sed -f {rules} | {real} "$@" ;;
  *)
    exec {real} "$@" ;;
esac
"""


class VoiceFaults:
    """The switch of one fleet. `programs` is the folder that must come first in the voice agent's PATH."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "programs"
        self._switch = folder / "voice"
        self._rules = folder / "voice.sed"
        self.programs.mkdir(parents=True, exist_ok=True)
        self._set("none")
        real = find_program(PROGRAM, "Debian package espeak-ng")
        places = {"switch": self._switch, "rules": self._rules, "real": real}
        quoted = {name: shlex.quote(str(path)) for name, path in places.items()}
        program = self.programs / PROGRAM
        program.write_text(SCRIPT.format(program=PROGRAM, header=HEADER, **quoted))
        program.chmod(0o755)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Every sentence is digital silence of the right length."""
        with self._on("muted"):
            yield

    @contextmanager
    def halved(self) -> Iterator[None]:
        """Every sentence breaks off in the middle."""
        with self._on("halved"):
            yield

    @contextmanager
    def saying(self, words: str, instead_of: str) -> Iterator[None]:
        """Says other words than it is given; letters, digits and spaces only."""
        for text in (words, instead_of):
            if not text.replace(" ", "").isalnum():
                raise ValueError(f"{text!r}: give letters, digits and spaces only")
        self._rules.write_text(f"s/{instead_of}/{words}/g\n")
        with self._on("reworded"):
            yield

    @contextmanager
    def _on(self, fault: str) -> Iterator[None]:
        self._set(fault)
        try:
            yield
        finally:
            self._set("none")

    def _set(self, fault: str) -> None:
        # Replaced, never rewritten: the program must not read an empty file.
        fresh = self._switch.with_suffix(".new")
        fresh.write_text(f"{fault}\n")
        fresh.replace(self._switch)
