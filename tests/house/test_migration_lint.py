"""No migration locks a big table for long: the real ones pass, and each kind of bad one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from switchboard.migrate.apply import installed
from switchboard.testing import migration_lint

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / ".squawk.toml"
EXCEPTIONS = ROOT / "tools" / "migration-exceptions.txt"


def planted(folder: Path, *statements: str, helpers: str = "sql") -> list[str]:
    """Complaints about one version with these lines in its ``upgrade()``."""
    folder.mkdir(exist_ok=True)
    body = "\n".join(f"    {statement}" for statement in statements)
    (folder / "0001_bad.py").write_text(
        f"from switchboard.migrate import {helpers}\n\ndef upgrade() -> None:\n{body}\n"
    )
    return migration_lint.gaps(migration_lint.versions({"calls": folder}), CONFIG)


def test_the_real_migrations_pass() -> None:
    found = migration_lint.versions(installed())
    assert len(found) >= 9
    assert all(version.text for version in found)
    assert migration_lint.gaps(found, CONFIG, EXCEPTIONS) == []


BAD = {
    "require-concurrent-index-creation": "CREATE INDEX x ON calls.calls (trunk)",
    "require-concurrent-index-deletion": "DROP INDEX calls.calls_by_time",
    "ban-concurrent-index-creation-in-transaction": "CREATE INDEX CONCURRENTLY x ON calls.calls (trunk)",
    "changing-column-type": "ALTER TABLE calls.calls ALTER COLUMN trunk TYPE varchar(20)",
    "adding-required-field": "ALTER TABLE calls.calls ADD COLUMN n text NOT NULL",
    "adding-not-nullable-field": "ALTER TABLE calls.calls ALTER COLUMN trunk SET NOT NULL",
    "adding-field-with-default": "ALTER TABLE calls.calls ADD COLUMN n uuid NOT NULL DEFAULT gen_random_uuid()",
    "constraint-missing-not-valid": "ALTER TABLE calls.calls ADD CONSTRAINT n CHECK (events > 0)",
    "adding-foreign-key-constraint": "ALTER TABLE calls.calls ADD FOREIGN KEY (job_id) REFERENCES calls.jobs (id)",
    "disallowed-unique-constraint": "ALTER TABLE calls.calls ADD CONSTRAINT n UNIQUE (job_id)",
    "ban-drop-column": "ALTER TABLE calls.calls DROP COLUMN job_id",
    "renaming-column": "ALTER TABLE calls.calls RENAME COLUMN job_id TO job",
    "ban-drop-table": "DROP TABLE calls.turns",
    "prefer-timestamp-tz": "CREATE TABLE calls.x (at timestamp)",
    "limits": "SET LOCAL lock_timeout = 0",
    "ignore": "-- squawk-ignore ban-drop-table\\nDROP TABLE calls.turns",
}


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_migration_is_refused(tmp_path: Path, rule: str) -> None:
    complaints = planted(tmp_path / "v", f'sql("{BAD[rule]}")')
    assert any(line.startswith(f"calls/0001_bad.py: {rule}: ") for line in complaints), complaints


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE calls.calls ADD COLUMN n text NOT NULL DEFAULT ''",
        "ALTER TABLE calls.calls ADD CONSTRAINT n CHECK (events > 0) NOT VALID",
        "ALTER TABLE calls.calls ADD CONSTRAINT n FOREIGN KEY (job_id) REFERENCES calls.jobs (id) NOT VALID",
        "ALTER TABLE calls.calls VALIDATE CONSTRAINT n",
        "ALTER TABLE calls.calls ADD CONSTRAINT n UNIQUE USING INDEX x",
    ],
)
def test_what_is_told_to_do_instead_is_accepted(tmp_path: Path, statement: str) -> None:
    assert planted(tmp_path / "v", f'sql("{statement}")') == []


def test_a_migration_runs_under_the_runners_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """squawk is shown the limits that the runner sets; without them it would refuse any lock."""
    alter = 'sql("ALTER TABLE calls.calls ADD COLUMN n text")'
    assert planted(tmp_path / "v", alter) == []
    monkeypatch.setattr(migration_lint, "_LIMITS", "")
    complaints = planted(tmp_path / "v", alter)
    assert [line.split(": ")[1] for line in complaints] == ["require-lock-timeout", "require-statement-timeout"]


def test_a_table_made_in_the_same_version_may_be_locked(tmp_path: Path) -> None:
    table = "CREATE TABLE calls.x (tenant_id uuid NOT NULL, n text, PRIMARY KEY (tenant_id))"
    assert planted(tmp_path / "v", f'sql("{table}; CREATE INDEX x_n ON calls.x (n)")') == []


def test_an_index_built_concurrently_is_the_way(tmp_path: Path) -> None:
    index = 'concurrent_index("calls.x", "calls.calls (trunk)")'
    assert planted(tmp_path / "v", index, helpers="concurrent_index") == []
    both = planted(
        tmp_path / "v", 'sql("ALTER TABLE calls.calls ADD COLUMN n text")', index, helpers="sql, concurrent_index"
    )
    assert [line.partition(": ")[2].partition(":")[0] for line in both] == ["index-alone"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("calls/0001_bad.py ban-drop-table it is empty", None),
        ("calls/0001_bad.py require-concurrent-index-deletion it is small", "it is about locks"),
        ("calls/0009_gone.py ban-drop-table it was empty", "nothing needs this exception"),
    ],
)
def test_an_exception_is_about_clients_and_is_needed(tmp_path: Path, line: str, complaint: str | None) -> None:
    planted(tmp_path / "v", 'sql("DROP TABLE calls.turns")')
    (tmp_path / "exceptions.txt").write_text(f"# comment\n{line}\n")
    found = migration_lint.versions({"calls": tmp_path / "v"})
    complaints = migration_lint.gaps(found, CONFIG, tmp_path / "exceptions.txt")
    assert complaints == [] if complaint is None else any(complaint in entry for entry in complaints)


def test_what_does_not_go_through_sql_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "0001_bad.py").write_text(
        "from alembic import op\n\ndef upgrade() -> None:\n    op.execute('SELECT 1')\n"
    )
    with pytest.raises(NameError, match="proxy object"):
        migration_lint.versions({"calls": tmp_path})
