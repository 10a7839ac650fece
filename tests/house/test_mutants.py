"""The mutants are those of the code as it is, and of tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from fleet.mutants import Mutant, authentication, bus, security
from fleet.mutants.__main__ import mutated

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
# Those of the bus's own lists stand in two tables.
MUTANTS = (*bus.MUTANTS, *(one for one in security.MUTANTS if one not in bus.MUTANTS), *authentication.MUTANTS)


def title(mutant: Mutant) -> str:
    return f"{mutant.promise}: {mutant.what}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=title)
def test_a_mutant_changes_what_is_there(mutant: Mutant) -> None:
    for edit in mutant.edits:
        text = (ROOT / edit.path).read_text(encoding="utf-8")
        changed = mutated(text, edit.path, edit.before, edit.after)
        ast.parse(changed)
    re.compile(mutant.reason)


@pytest.mark.parametrize("mutant", MUTANTS, ids=title)
def test_the_test_that_catches_it_is_there(mutant: Mutant) -> None:
    path, _, name = mutant.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name.partition("[")[0] in names


def test_no_two_mutants_are_the_same() -> None:
    assert len({(mutant.edits, mutant.test) for mutant in MUTANTS}) == len(MUTANTS)
