"""The table in docs/security.md and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from fleet.prove.table import Place, plain, replaced, tried_of
from fleet.security import Attack, Result

HEAD = "| attack | what is tried | tries | held | mutants caught | minutes | date |\n" + "| --- " * 7 + "|\n"
PLACE = Place("<!-- rows of make security -->\n", "<!-- end of the rows -->", HEAD)
NEVER = "| – | not run yet | – | – | – |"


def start_of(attack: Attack) -> str:
    """What an attack's line says without having been run."""
    return f"| `{attack.name}` | {attack.row.promise} "


def line_of(attack: Attack, result: Result, day: date) -> str:
    """An attack that was made."""
    outcome = result.outcome
    tests = f"{outcome.passed + len(outcome.failed)} tests"
    tries = ", ".join(part for part in (tried_of(outcome), tests) if part)
    held = "yes" if outcome.ok else f"**no**: {plain('; '.join(outcome.failed) or 'no test ran')}"
    caught = f"{result.mutants - len(result.missed)} of {result.mutants}"
    if not outcome.ok:
        caught = "not made"
    elif result.missed or not result.mutants:
        caught = f"**{caught}**, not: {plain('; '.join(result.missed)) or 'any'}"
    return f"{start_of(attack)}| {tries} | {held} | {caught} | {outcome.seconds / 60:.1f} | {day} |"


def updated(page: str, attacks: tuple[Attack, ...], lines: Mapping[str, str]) -> str:
    """The page with these lines in place of their attacks'; the others stay."""
    return replaced(page, PLACE, {attack.name: start_of(attack) + NEVER for attack in attacks}, lines)
