"""``python -m fleet.prove [ROW]``: runs the rows, one after the other, and writes each into docs/reliability.md.

Exit status 1 when one of them failed. A failed row is written as failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from fleet import containers
from fleet.prove import Outcome, Row
from fleet.prove.rows import ROWS, chosen
from fleet.prove.table import line_of, write

ROOT = Path(__file__).parents[5]
PAGE = ROOT / "docs" / "reliability.md"
TIMEOUT_SECONDS = 1800
"""For one test in its long form."""

_CAUGHT = re.compile(r"^(\d+) of (\d+) caught$", re.MULTILINE)


def prove(row: Row) -> Outcome:
    """Runs one row; what it prints goes to the terminal as it comes."""
    environment = {**os.environ, **row.long_form}
    if row.containers:
        kind = None if containers.silence() else containers.obtainable()
        if kind is None:
            return Outcome(left_out="no container engine with the servers' images answers here")
        environment["CONTAINER_IMAGES"] = kind
    began = time.monotonic()
    if row.module:
        outcome = of_command(*_streamed([sys.executable, "-m", row.module], environment))
    else:
        with tempfile.TemporaryDirectory(prefix="prove-") as folder:
            report = Path(folder) / "report.xml"
            marks = ["-m", "integration"] if row.containers else []
            options = ["-q", "-s", f"--timeout={TIMEOUT_SECONDS}", f"--junitxml={report}", "-o", "junit_family=xunit1"]
            status, _ = _streamed([sys.executable, "-m", "pytest", *options, *marks, *row.tests], environment)
            outcome = of_report(report.read_text(encoding="utf-8") if report.exists() else "", status)
    return Outcome(outcome.passed, outcome.failed, outcome.tried, time.monotonic() - began)


def _streamed(argv: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and output, which is also shown."""
    lines: list[str] = []
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def of_report(xml: str, status: int) -> Outcome:
    """pytest's own report, and its exit status, which knows of what is in no report (a collection that broke, a crash)."""
    passed = 0
    failed: list[str] = []
    tried: dict[str, float] = {}
    # Our own pytest wrote it.
    cases = ElementTree.fromstring(xml).iter("testcase") if xml else ()  # noqa: S314
    for case in cases:
        if any(case.find(kind) is not None for kind in ("failure", "error", "skipped")):
            failed.append(str(case.get("name")))
            continue
        passed += 1
        for one in case.iter("property"):
            name = str(one.get("name"))
            tried[name] = tried.get(name, 0.0) + float(str(one.get("value")))
    if status != 0 and not failed:
        failed.append(f"pytest ended with {status}")
    return Outcome(passed, tuple(failed), tried)


def of_command(status: int, output: str) -> Outcome:
    """A command of its own, that says how many of how many it has caught."""
    said = _CAUGHT.search(output)
    if said is None:
        return Outcome(failed=(f"it ended with {status} and did not say what it caught",))
    caught, there = int(said[1]), int(said[2])
    missed = (f"{there - caught} were not caught",) if status != 0 or caught != there else ()
    return Outcome(caught, missed, {"mutants": there})


def main(word: str) -> int:
    rows = chosen(word)
    if not rows:
        print(f"there is no row {word}; there are: {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    failed: list[str] = []
    left_out: list[str] = []
    for row in rows:
        print(f"== {row.name}: {row.promise}", flush=True)
        outcome = prove(row)
        line = line_of(row, outcome, datetime.now(UTC).date())
        write(PAGE, ROWS, {row.name: line})
        print(line, flush=True)
        failed += [] if outcome.ok else [row.name]
        left_out += [row.name] if outcome.left_out else []
    held = len(rows) - len(failed) - len(left_out)
    others = [f"; {what}: {', '.join(names)}" for what, names in (("failed", failed), ("not run", left_out)) if names]
    print(f"{held} of {len(rows)} rows hold{''.join(others)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
