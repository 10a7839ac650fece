"""``python -m fleet.mutants [words]``: make and run the mutants (those whose promise has all the words), print the table.

First the tests of all of them without a mutant, which must pass. Exit status 1 when one of these fails or when a mutant is
not caught.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fleet.mutants import Mutant
from fleet.mutants.bus import MUTANTS

ROOT = Path(__file__).parents[5]
PATIENCE_SECONDS = "20"
FAILED = 1
"""pytest's exit status when tests ran and some failed; others mean that none did."""


class Stale(Exception):
    """A snippet no longer stands in its file exactly once."""


def mutated(text: str, path: str, before: str, after: str) -> str:
    if text.count(before) != 1:
        raise Stale(f"{path} has {text.count(before)} times, not once:\n{before}")
    return text.replace(before, after)


def overlay(mutant: Mutant, folder: Path) -> list[Path]:
    """Copies of the packages that ``mutant`` changes, with its changes; folders for the module path."""
    roots: dict[Path, Path] = {}
    for edit in mutant.edits:
        project = ROOT / edit.path.partition("/src/")[0]
        if project not in roots:
            roots[project] = folder / project.relative_to(ROOT)
            shutil.copytree(project / "src", roots[project] / "src", ignore=shutil.ignore_patterns("__pycache__"))
        target = folder / edit.path
        text = mutated(target.read_text(encoding="utf-8"), edit.path, edit.before, edit.after)
        target.write_text(text, encoding="utf-8")
    return [root / "src" for root in roots.values()]


def run(tests: list[str], path: list[Path], environment: dict[str, str]) -> tuple[int, str]:
    """pytest's exit status and output."""
    # Asserts are not shortened, so that a reason can be looked for in them.
    options = ("-x", "-vv", "--tb=short", "--show-capture=no", "-p", "no:cacheprovider", "--timeout=180")
    env = {
        **os.environ,
        "BUS_PATIENCE_S": PATIENCE_SECONDS,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    argv = [sys.executable, "-m", "pytest", *options, *tests]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def caught(mutant: Mutant) -> str | None:
    """What is wrong with the test; ``None`` when it failed for the right reason."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        status, output = run([mutant.test], overlay(mutant, Path(folder)), dict(mutant.environment))
    if status == FAILED and re.search(mutant.reason, output, re.DOTALL):
        return None
    last = "\n".join(output.splitlines()[-15:])
    verdict = "passed" if status == 0 else f"ended with {status}, but not for {mutant.reason!r}"
    return f"{mutant.test} {verdict}:\n{last}"


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.promise for word in words)]
    print(f"{len(chosen)} mutants; first their tests as they are", flush=True)
    status, output = run(sorted({mutant.test for mutant in chosen}), [], {})
    if status != 0:
        print(output)
        return 1
    print(output.splitlines()[-1], flush=True)
    print("| promise | mutant | caught by | seconds |\n| --- | --- | --- | --- |", flush=True)
    missed = []
    for mutant in chosen:
        began = time.monotonic()
        problem = caught(mutant)
        name = mutant.test.rpartition("::")[2] if problem is None else "**nobody**"
        print(f"| {mutant.promise} | {mutant.what} | {name} | {time.monotonic() - began:.0f} |", flush=True)
        missed += [] if problem is None else [problem]
    print("\n\n".join([f"{len(chosen) - len(missed)} of {len(chosen)} caught", *missed]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
