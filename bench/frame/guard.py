"""Whether anything of ours has come to cost more CPU than when its figures were accepted last.

    python -m bench.frame.guard [--measured FOLDER] [NAME ...]

Runs the benches that have accepted figures (all, or those named), or takes the results in FOLDER. Compares CPU per unit and
never a time on the clock, which other work on the machine lengthens.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.frame.command import MEASURED, NOISY
from bench.frame.report import TOO_NOISY, duration
from bench.frame.results import ACCEPTED, Result, accepted

LIMIT = 1.3
FAILED = 1


def worse(before: Result, now: Result) -> list[str]:
    """A complaint for every unit of ours that costs more than ``LIMIT`` of what it cost, or that is measured no more."""
    complaints = []
    costs = now.cpu_per_unit()
    for what, was in before.cpu_per_unit().items():
        if what not in costs:
            complaints.append(f"{what} was not measured")
        elif costs[what] > LIMIT * was:
            complaints.append(
                f"{what} takes {duration(costs[what])} of CPU, {costs[what] / was:.2f} x the accepted {duration(was)}"
            )
    return complaints


def verdict(before: Result, now: Result) -> list[str]:
    """Complaints. CPU per unit of another machine says nothing about this one, so such figures are not compared."""
    if before.provenance.machine != now.provenance.machine:
        return [
            f"{now.name}: accepted on {before.provenance.machine}, measured on {now.provenance.machine}; "
            f"accept figures of this machine first: python -m bench.{now.name} --accept"
        ]
    return worse(before, now)


def main(arguments: Sequence[str] | None = None, accepted_in: Path = ACCEPTED) -> int:
    """0 when nothing is worse, 1 when something is, 75 when a bench was too noisy to tell."""
    parser = argparse.ArgumentParser(description="CPU per unit against the accepted figures.")
    parser.add_argument("names", nargs="*", help="benches; all that have accepted figures where none is named")
    parser.add_argument("--measured", type=Path, help="folder of results to compare, instead of running the benches")
    given = parser.parse_args(arguments)
    chosen = [one for one in accepted(accepted_in) if not given.names or one.name in given.names]
    unknown = set(given.names) - {one.name for one in chosen}
    if unknown or not chosen:
        parser.error(f"no accepted figures of {', '.join(sorted(unknown)) or 'any bench'}")
    noisy, complaints = [], []
    for before in chosen:
        code = 0 if given.measured else _run(before.name)
        if code not in (0, NOISY):
            complaints.append(f"{before.name}: the bench failed")
            continue
        now = None if code else Result.read((given.measured or MEASURED) / f"{before.name}.json")
        if now is None or now.noisy:
            noisy.append(before.name)
        else:
            complaints += verdict(before, now)
    print("\n".join(complaints + [f"{name}: {TOO_NOISY}" for name in noisy]) or "nothing costs more CPU than accepted")
    return FAILED if complaints else NOISY if noisy else 0


def _run(name: str) -> int:
    return subprocess.run([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
