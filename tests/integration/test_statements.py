"""Every SQL constant of every repository is understood by the migrated schema, under the rights of its service."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from switchboard.testing.catalogue import Statement, statements
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

SERVICES = Path(__file__).parents[2] / "services"
ROLES = {"tenant-svc": "tenant_svc", "call-orchestrator": "call_orchestrator", "rag-svc": "rag_svc"}


async def problems(migrated: MigratedDatabase, role: str, found: list[Statement]) -> list[str]:
    conn = await asyncpg.connect(migrated.dsn(role))
    wrong = []
    for statement in found:
        try:
            await conn.prepare(statement.sql)
        except asyncpg.PostgresError as error:
            wrong.append(f"{statement.path.relative_to(SERVICES)} {statement.name}: {error}")
    await conn.close()
    return wrong


@pytest.mark.parametrize("service", ROLES)
async def test_every_statement_can_be_prepared(migrated: MigratedDatabase, service: str) -> None:
    found = list(statements([SERVICES / service / "src"]))
    assert await problems(migrated, ROLES[service], found) == []


async def test_a_statement_that_does_not_fit_the_schema_is_named(migrated: MigratedDatabase, tmp_path: Path) -> None:
    folder = SERVICES / "call-orchestrator"
    wrong = Statement(folder / "repository.py", "SELECT_NOTHING", "SELECT no_such_column FROM calls.inbox")
    denied = Statement(folder / "repository.py", "EMPTY", "SELECT 1 FROM tenancy.inbox")
    found = await problems(migrated, "call_orchestrator", [wrong, denied])
    assert ["SELECT_NOTHING" in found[0], "EMPTY" in found[1]] == [True, True]


def test_constants_are_read_off_modules_that_put_them_together(tmp_path: Path) -> None:
    (tmp_path / "repository.py").write_text(
        '_COLUMNS = "id, name"\n'
        'SELECT_ONE = f"SELECT {_COLUMNS} FROM t WHERE id = $1"\n'
        'SELECT_ALL: str = "SELECT " + _COLUMNS + " FROM t"\n'
        "LIMIT = 5\n"
        'lower = "not a statement"\n'
    )
    found = {statement.name: statement.sql for statement in statements([tmp_path])}
    assert found == {
        "SELECT_ONE": "SELECT id, name FROM t WHERE id = $1",
        "SELECT_ALL": "SELECT id, name FROM t",
    }
