"""Refuses a migration that would lock a big table for long, or take from a running service what it uses.

``python -m switchboard.testing.migration_lint`` (part of ``make lint``) runs squawk over the SQL of each version, as the
runner executes it: in one transaction, with the limits that :mod:`switchboard.migrate.apply` sets on its connection.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from switchboard.migrate.apply import installed

_LIMITS = "SET lock_timeout = '5s';\nSET statement_timeout = '60s';\n"
_RUNNERS = re.compile(r"\b(lock_timeout|statement_timeout)\b", re.IGNORECASE)
_COMMENT = re.compile(r"squawk-ignore", re.IGNORECASE)

# What older services may still use is taken in a later version than the one that made it superfluous, by a line in the list.
# A rule about locks has no exceptions: there is always another way (docs/operations/migrations.md).
_CLIENTS = frozenset(
    {
        *(
            "ban-drop-column",
            "ban-drop-default",
            "ban-drop-not-null",
            "ban-drop-table",
            "ban-drop-constraint",
            "ban-drop-function",
        ),
        *("renaming-column", "renaming-table"),
    }
)


@dataclass(frozen=True, slots=True)
class Complaint:
    version: str
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.version}: {self.rule}: {self.message}"


@dataclass
class Version:
    """What one version file executes."""

    name: str
    sql: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return ";\n".join(statement.strip().removesuffix(";") for statement in self.sql) + ";\n" if self.sql else ""


def captured(path: Path, schema: str) -> Version:
    """Run ``upgrade()`` of a version file without a database, and keep what it would have executed."""
    version = Version(f"{schema}/{path.name}")
    spec = importlib.util.spec_from_file_location(f"linted_{schema}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def index(name: str, definition: str, **_unique: bool) -> None:
        version.indexes.append(f"{name} ON {definition}")

    for name, stand_in in {"sql": version.sql.append, "concurrent_index": index}.items():
        if hasattr(module, name):
            setattr(module, name, stand_in)
    module.upgrade()
    return version


def versions(folders: Mapping[str, Path]) -> list[Version]:
    return [
        captured(path, schema)
        for schema, folder in sorted(folders.items())
        for path in sorted(folder.glob("[0-9]*.py"))
    ]


def gaps(found: list[Version], config: Path, exceptions: Path | None = None) -> list[str]:
    """One line per complaint: version, rule, what to do."""
    complaints = [complaint for version in found for complaint in _own(version)]
    complaints += _squawk([version for version in found if version.text], config)
    excepted = _exceptions(exceptions) if exceptions is not None else set()
    used = {(entry.version, entry.rule) for entry in complaints} & excepted
    lines = [str(entry) for entry in complaints if (entry.version, entry.rule) not in used]
    lines += [
        f"{version}: {rule} can't be excepted: it is about locks" for version, rule in excepted if rule not in _CLIENTS
    ]
    return lines + [f"{version}: {rule}: nothing needs this exception" for version, rule in sorted(excepted - used)]


def _own(version: Version) -> Iterator[Complaint]:
    if version.sql and version.indexes:
        yield Complaint(
            version.name, "index-alone", "concurrent_index commits what is before it; give it a version of its own"
        )
    if _RUNNERS.search(version.text):
        yield Complaint(version.name, "limits", "the runner sets lock_timeout and statement_timeout; leave them")
    if _COMMENT.search(version.text):
        yield Complaint(version.name, "ignore", "a rule holds, or is excluded in .squawk.toml for all, with its reason")


def _exceptions(path: Path) -> set[tuple[str, str]]:
    lines = (
        line.split(maxsplit=2) for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")
    )
    return {(version, rule) for version, rule, _why in lines}


def _squawk(found: list[Version], config: Path) -> list[Complaint]:
    linter = shutil.which("squawk", path=str(Path(sys.executable).parent))
    if linter is None:
        return [Complaint("every version", "squawk", "it is not installed; run make setup")]
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for number, version in enumerate(found):
            path = Path(folder) / f"{number}.sql"
            path.write_text(_LIMITS + version.text)
            names[str(path)] = version.name
        done = subprocess.run(
            [linter, "--config", str(config), "--reporter", "json", *names], capture_output=True, text=True, check=False
        )
    if done.returncode not in (0, 1):
        return [Complaint("every version", "squawk", done.stderr.strip())]
    return [
        Complaint(names[entry["file"]], entry["rule_name"], f"{entry['message']} {entry.get('help') or ''}".rstrip())
        for entry in json.loads(done.stdout or "[]")
    ]


def main() -> int:
    found = versions(installed())
    complaints = gaps(found, Path(".squawk.toml"), Path("tools/migration-exceptions.txt"))
    sys.stdout.writelines(f"{line}\n" for line in complaints)
    sys.stdout.write(f"migrations: {len(found)} versions looked at, {len(complaints)} complaints\n")
    return 1 if complaints or not found else 0


if __name__ == "__main__":
    sys.exit(main())
