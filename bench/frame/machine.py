"""Where, when and from which sources a bench ran."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import datetime
from pathlib import Path


def command(name: str) -> str:
    return f"python -m bench.{name} {shlex.join(sys.argv[1:])}".rstrip()


def machine() -> str:
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def commit() -> str:
    """Of the checkout; with "+" where files that git knows were changed."""
    said = subprocess.run(
        ["git", "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty=+"],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return said.stdout.strip() or "unknown"


def heading(name: str, seed: int, started: datetime) -> str:
    """Command, date, machine and commit of a run."""
    return f"`{command(name)}` (seed {seed}), {started:%Y-%m-%d %H:%M} UTC, {machine()}, commit `{commit()}`"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"
