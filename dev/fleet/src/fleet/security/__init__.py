"""Attacks: what each tries, the tests that try it, and what must be broken for it to succeed. ``python -m fleet.security``.

An attack is a row of :mod:`fleet.prove`, in its long form, with mutants of :mod:`fleet.mutants`: a guard against it is
removed in a copy of the code, and one of the attack's own tests must notice, for the reason that the mutant names.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.mutants import Mutant
from fleet.prove import Outcome, Row


@dataclass(frozen=True, slots=True)
class Attack:
    """``row.promise`` says what is tried."""

    row: Row
    mutants: tuple[Mutant, ...]

    @property
    def name(self) -> str:
        return self.row.name


@dataclass(frozen=True, slots=True)
class Result:
    """``missed``: the mutants that nobody noticed. They are not made where the attack's tests fail without them."""

    outcome: Outcome
    mutants: int
    missed: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.outcome.ok and self.mutants > 0 and not self.missed
