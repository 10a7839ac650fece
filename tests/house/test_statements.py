"""No SQL stands where the test that prepares every statement would not find it."""

from __future__ import annotations

from pathlib import Path

import pytest
from switchboard.testing import house
from switchboard.testing.house import Module
from switchboard.testing.statements import Source, executed, named, run_sql, strays

pytestmark = pytest.mark.unit

MODULES = house.modules(Path(__file__).parents[2])
RUN = [module for module in MODULES if run_sql(module)]


def test_what_is_executed_is_a_constant_that_can_be_looked_up() -> None:
    found, complaints = executed(RUN, MODULES)
    assert complaints == []
    assert len(found) >= 100


def test_no_sql_stands_outside_of_constants() -> None:
    assert [line for module in RUN for line in strays(module)] == []


def test_every_statement_of_a_repository_is_executed_by_somebody() -> None:
    found, _ = executed(RUN, MODULES)
    kept = {statement for module in RUN if module.name == "repository.py" for statement in named(Source(module))}
    assert kept - found == set()


REPOSITORY = Module(
    "services/x/src/x/calls/repository.py",
    '_COLUMNS = "id, name"\n'
    'SELECT_ONE = f"SELECT {_COLUMNS} FROM t WHERE id = $1"\n'
    'SELECT_ALL: str = "SELECT " + _COLUMNS + " FROM t"\n'
    '_HIDDEN = "SELECT 2"\n'
    "LIMIT = 5\n",
)


def user(*lines: str) -> Module:
    body = "\n".join(f"    {line}" for line in lines)
    return Module(
        "services/x/src/x/calls/service.py",
        "from x.calls import repository as sql\nfrom x.calls.repository import SELECT_ALL as ALL\n"
        'MINE = "SELECT {schema}"\n'
        f"async def f(conn, more):\n{body}\n",
    )


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("await conn.fetch(sql.SELECT_ONE, 1)", {"SELECT_ONE"}),
        ("await conn.fetchval(ALL)", {"SELECT_ALL"}),
        ("await conn.execute(sql.SELECT_ONE if more else ALL)", {"SELECT_ONE", "SELECT_ALL"}),
        ("await conn.execute(MINE.format(schema=more))", {"MINE"}),
        ("await conn.executemany(command=sql.SELECT_ONE, args=[])", {"SELECT_ONE"}),
    ],
)
def test_a_constant_is_found_however_it_is_named(line: str, names: set[str]) -> None:
    service = user(line)
    found, complaints = executed([service], [REPOSITORY, service])
    assert ({statement.name for statement in found}, complaints) == (names, [])


@pytest.mark.parametrize(
    "line",
    [
        'await conn.execute("SELECT 1")',
        'await conn.execute(f"SELECT {more}")',
        "await conn.execute(sql.SELECT_ONE + more)",
        "await conn.execute(more)",
        "await conn.fetch(sql._HIDDEN)",
        "await conn.fetchrow(sql.LIMIT)",
        "await conn.fetchval(sql.SELECT_ONE.format(more))",
        "await conn.cursor(more.SELECT_ONE)",
        "await conn.execute(sql.SELECT_ONE if more else more)",
        "await conn.execute()",
        "await conn.prepare(self.statement)",
    ],
)
def test_what_can_not_be_looked_up_is_found(line: str) -> None:
    service = user(line)
    _, complaints = executed([service], [REPOSITORY, service])
    assert len(complaints) == 1


def test_a_literal_outside_of_constants_is_found() -> None:
    guilty = user('await touch(conn, "UPDATE t SET a = 1")', 'sql = f"DELETE FROM {more}"', 'note = "Select one"')
    assert len(strays(guilty)) == 2
    assert strays(REPOSITORY) == []


def test_constants_are_put_together() -> None:
    assert {statement.name: statement.sql for statement in named(Source(REPOSITORY))} == {
        "SELECT_ONE": "SELECT id, name FROM t WHERE id = $1",
        "SELECT_ALL": "SELECT id, name FROM t",
    }
