"""``python -m fleet.security [ATTACK]``: makes the attacks, one after the other, then their mutants; prints the table and
writes each line into docs/security.md.

Exit status 1 when something did not hold or a mutant was not caught. What failed is written as failed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from fleet.mutants.__main__ import caught
from fleet.prove.__main__ import ROOT, prove
from fleet.security import Attack, Result
from fleet.security.attacks import ATTACKS, chosen
from fleet.security.table import HEAD, line_of, updated

PAGE = ROOT / "docs" / "security.md"


def made(attack: Attack) -> Result:
    """The attack's tests as the code is, then with each of its guards removed."""
    began = time.monotonic()
    outcome = prove(attack.row)
    missed: list[str] = []
    if outcome.ok:
        for mutant in attack.mutants:
            problem = caught(mutant)
            print(f"{'caught' if problem is None else 'NOT CAUGHT'}: {mutant.promise}: {mutant.what}", flush=True)
            if problem is not None:
                print(problem, flush=True)
                missed.append(f"{mutant.promise}: {mutant.what}")
    return Result(replace(outcome, seconds=time.monotonic() - began), len(attack.mutants), tuple(missed))


def main(word: str) -> int:
    attacks = chosen(word)
    if not attacks:
        print(f"there is no attack {word}; there are: {', '.join(one.name for one in ATTACKS)}", file=sys.stderr)
        return 2
    lines: list[str] = []
    failed: list[str] = []
    for attack in attacks:
        print(f"== {attack.name}: {attack.row.promise}", flush=True)
        result = made(attack)
        lines.append(line_of(attack, result, datetime.now(UTC).date()))
        page = updated(PAGE.read_text(encoding="utf-8"), ATTACKS, {attack.name: lines[-1]})
        PAGE.write_text(page, encoding="utf-8")
        failed += [] if result.ok else [attack.name]
    print(HEAD + "\n".join(lines))
    print(f"{len(attacks) - len(failed)} of {len(attacks)} held{'; failed: ' + ', '.join(failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
