"""Every SQL statement of the code, found without importing it, so that a test can prepare each of them.

A statement is an ALL_CAPS constant of a module, and what is executed is such a constant by its name: then none can be
overlooked. A constant of the shared library may hold ``{schema}``, filled in where it is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from switchboard.testing.house import Module

_METHODS = frozenset(
    {
        *("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor", "prepare"),
        *("copy_from_query", "copy_from_table", "copy_to_table", "copy_records_to_table"),
    }
)
_SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|MERGE INTO|WITH|VALUES|LISTEN|NOTIFY|LOCK|SET|RESET|TRUNCATE|CREATE|ALTER"
    r"|DROP|GRANT|REVOKE|COPY|CALL|DO|BEGIN|COMMIT|SAVEPOINT|VACUUM|ANALYZE|EXPLAIN)\s+([A-Za-z_\"${(*'.]|$)"
)

# Not our tables: NATS (its fetch is another one), the migrations themselves and test helpers, which all run in tests.
_APART = ("libs/common/src/switchboard/bus/", "libs/common/src/switchboard/migrate/")
_FAULTS = "dev/fleet/src/fleet/faults/"


@dataclass(frozen=True, slots=True, order=True)
class Statement:
    """One constant that holds SQL; ``path`` is relative to the repository."""

    path: str
    name: str
    sql: str = field(compare=False)


@dataclass(frozen=True)
class Source:
    """A module with what it defines and imports."""

    module: Module

    @cached_property
    def constants(self) -> dict[str, str]:
        """Module-level strings by name, put together from earlier ones by ``+`` or an f-string where need be."""
        known: dict[str, str] = {}
        for node in self.module.tree.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and isinstance(value, ast.expr):
                text = _text(value, known)
                if text is not None:
                    known[target.id] = text
        return known

    @cached_property
    def imports(self) -> dict[str, str]:
        """Local name -> dotted name, of ``from a.b import c [as d]``."""
        return {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(self.module.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    @property
    def dotted(self) -> str:
        inside = self.module.path.rpartition("/src/")[2].removesuffix(".py").removesuffix("/__init__")
        return inside.replace("/", ".")


def run_sql(module: Module) -> bool:
    """Whether its statements are to be looked at: all that is shipped, and the faults that change rows of a fleet."""
    path = module.path
    apart = path.startswith(_APART) or "/testing" in path or "/migrations/" in path
    return (module.is_product and not apart) or path.startswith(_FAULTS)


def named(source: Source) -> Iterator[Statement]:
    """The public ALL_CAPS strings of a module."""
    for name, sql in source.constants.items():
        if _public(name):
            yield Statement(source.module.path, name, sql)


def executed(modules: Iterable[Module], of: Iterable[Module]) -> tuple[set[Statement], list[str]]:
    """The statements that ``modules`` execute, and complaints about what can't be looked up in ``of``."""
    sources = {source.dotted: source for source in map(Source, of)}
    found: set[Statement] = set()
    complaints: list[str] = []
    for source in map(Source, modules):
        for call in ast.walk(source.module.tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS:
                for argument in _alternatives(call):
                    statement = _looked_up(argument, source, sources)
                    if statement is None:
                        where = f"{source.module.path}:{call.lineno}"
                        complaints.append(
                            f"{where}: {call.func.attr} of what is no ALL_CAPS constant of a module of ours"
                        )
                    else:
                        found.add(statement)
    return found, complaints


def strays(module: Module) -> list[str]:
    """Literals that read like SQL and are no part of a module's constants."""
    tree = module.tree
    inside = {
        id(part)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for part in ast.walk(node.value)
        if _capital(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    }
    return [
        f"{module.path}:{node.lineno}: SQL that is not a constant of the module"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside
        if _SQL.match(node.value)
    ]


def _alternatives(call: ast.Call) -> list[ast.expr | None]:
    """What the first argument may be."""
    first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("query", "command")), None)
    waiting, leaves = [first], []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.IfExp):
            waiting += [node.body, node.orelse]
        else:
            leaves.append(node)
    return leaves


def _looked_up(node: ast.expr | None, source: Source, sources: dict[str, Source]) -> Statement | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _looked_up(node.func.value, source, sources) if [k.arg for k in node.keywords] == ["schema"] else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        home, name = sources.get(source.imports.get(node.value.id, "")), node.attr
    elif isinstance(node, ast.Name) and node.id in source.imports:
        module, _, name = source.imports[node.id].rpartition(".")
        home = sources.get(module)
    elif isinstance(node, ast.Name):
        home, name = source, node.id
    else:
        return None
    if home is None or not _public(name) or name not in home.constants:
        return None
    return Statement(home.module.path, name, home.constants[name])


def _public(name: str) -> bool:
    return name.isupper() and not name.startswith("_")


def _capital(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id.isupper()


def _text(value: ast.expr, known: dict[str, str]) -> str | None:
    """The string that ``value`` stands for, or ``None`` when it isn't one that can be read off."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else None
    if isinstance(value, ast.Name):
        return known.get(value.id)
    if isinstance(value, ast.FormattedValue):
        return _text(value.value, known)
    parts: list[ast.expr]
    if isinstance(value, ast.JoinedStr):
        parts = value.values
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        parts = [value.left, value.right]
    else:
        return None
    texts = [_text(part, known) for part in parts]
    return None if None in texts else "".join(text for text in texts if text is not None)
