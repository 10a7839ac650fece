"""The attacks of `make security` are made by tests that are there, each with a guard whose removal one of them notices."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from fleet.mutants import authentication, security
from fleet.prove.rows import ROWS
from fleet.security import Attack
from fleet.security.attacks import ATTACKS, chosen
from fleet.security.table import NEVER, PLACE, start_of

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TABLE = PAGE.partition(PLACE.begin)[2].partition(PLACE.end)[0].splitlines()[2:]


def name_of(attack: Attack) -> str:
    return attack.name


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
def test_an_attack_is_made_by_tests_that_are_there(attack: Attack) -> None:
    assert attack.row.tests
    for test in attack.row.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names or not name, test


@pytest.mark.parametrize("attack", ATTACKS, ids=name_of)
def test_an_attacks_mutants_are_noticed_by_its_own_tests(attack: Attack) -> None:
    """So that each was seen to pass without the mutant."""
    assert attack.mutants
    for mutant in attack.mutants:
        path, _, name = mutant.test.partition("::")
        assert {path, f"{path}::{name.partition('[')[0]}"} & set(attack.row.tests), mutant.what


def test_every_mutant_is_one_of_an_attack() -> None:
    used = [mutant for attack in ATTACKS for mutant in attack.mutants]
    assert [one.what for one in (*security.MUTANTS, *authentication.MUTANTS) if one not in used] == []


def test_a_long_form_is_that_of_make_prove() -> None:
    long_forms = {key: value for row in ROWS for key, value in row.long_form.items()}
    for attack in ATTACKS:
        assert attack.row.long_form.items() <= long_forms.items(), attack.name


def test_an_attack_has_one_name() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert chosen("") == ATTACKS
    assert [one.name for one in chosen("links")] == ["links"]
    assert chosen("nothing") == ()


def test_the_page_has_a_line_for_each_attack_and_a_result_its_day() -> None:
    for attack, line in zip(ATTACKS, TABLE, strict=True):
        assert line.startswith(start_of(attack)), attack.name
        assert line.endswith(NEVER) or re.search(r"\| \d{4}-\d\d-\d\d \|$", line), attack.name
