"""Every SQL statement of the code is understood by the migrated schema, under the rights of the role that executes it.

`tests/house/test_statements.py` sees to it that none stands where it would not be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncpg
import pytest
from fleet.prove import Tried
from switchboard.migrate import SCHEMAS
from switchboard.repeats import SCHEMAS as REPEATS
from switchboard.testing.database import MigratedDatabase
from switchboard.testing.house import modules
from switchboard.testing.statements import Statement, executed, run_sql

pytestmark = pytest.mark.integration

MODULES = modules(Path(__file__).parents[2])
SUPERUSER = "postgres"


def role_of(statement: Statement) -> str | None:
    """The role of the service whose code it is; ``None``: of every service (the shared library)."""
    top, _, rest = statement.path.partition("/")
    if top == "services":
        return rest.partition("/")[0].replace("-", "_")
    return SUPERUSER if top == "dev" else None


def by_role(found: Iterable[Statement]) -> Iterator[tuple[str, Statement, str]]:
    """(role, statement, its SQL for that role's schema)."""
    for statement in sorted(found):
        role = role_of(statement)
        if role is not None:
            yield role, statement, statement.sql
            continue
        for schema in SCHEMAS:
            if statement.path.endswith("/repeats.py") and schema.name not in REPEATS:
                continue
            yield schema.service, statement, statement.sql.replace("{schema}", schema.name)


async def problems(migrated: MigratedDatabase, found: Iterable[Statement]) -> list[str]:
    wrong = []
    connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
    for role, statement, sql in by_role(found):
        if role not in connections:
            dsn = migrated.admin_dsn if role == SUPERUSER else migrated.dsn(role)
            connections[role] = await asyncpg.connect(dsn)
        try:
            await connections[role].prepare(sql)
        except asyncpg.PostgresError as error:
            wrong.append(f"{statement.path} {statement.name} as {role}: {error}")
    for connection in connections.values():
        await connection.close()
    return wrong


async def test_every_statement_can_be_prepared(migrated: MigratedDatabase, record_property: Tried) -> None:
    found, _ = executed(filter(run_sql, MODULES), MODULES)
    assert len(found) >= 100
    assert await problems(migrated, found) == []
    record_property("statements", len(found))


async def test_a_statement_that_does_not_fit_the_schema_is_named(migrated: MigratedDatabase) -> None:
    path = "services/call-orchestrator/src/call_orchestrator/x/repository.py"
    wrong = Statement(path, "SELECT_NOTHING", "SELECT no_such_column FROM calls.inbox")
    denied = Statement(path, "EMPTY", "SELECT 1 FROM tenancy.inbox")
    shared = Statement("libs/common/src/switchboard/x.py", "SHARED", "SELECT no_such_column FROM {schema}.inbox")
    fine = Statement(path, "FINE", "SELECT 1 FROM calls.inbox")
    found = await problems(migrated, [wrong, denied, shared, fine])
    assert [line.partition(":")[0].rpartition("/")[2] for line in found] == [
        *("x.py SHARED as tenant_svc", "x.py SHARED as call_orchestrator", "x.py SHARED as rag_svc"),
        *("repository.py EMPTY as call_orchestrator", "repository.py SELECT_NOTHING as call_orchestrator"),
    ]
