"""The house rules that a machine can check, as functions from source text to complaints."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
CATEGORIES = frozenset({"unit", "integration", "e2e"})

_SOURCES = ("libs", "services", "dev", "bench", "tests", "deploy", "tools")
_APART = frozenset({".venv", "var", "node_modules", "__pycache__", "build", "dist"})

# Time and chance come from arguments. loop.time() and asyncio's own timeouts are the event loop's business.
_CLOCKS = frozenset(
    {
        *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now"),
        *("datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
        *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter"),
        *("time.perf_counter_ns", "uuid.uuid1", "uuid.uuid4", "uuid4", "uuid1", "uuid.uuid7"),
        *("random.random", "random.choice", "random.randint", "random.uniform", "random.shuffle", "random.sample"),
    }
)
_FRAMEWORKS = frozenset({"fastapi", "starlette", "litestar", "livekit", "nats", "httpx", "uvicorn"})
_DOMAIN_FILES = frozenset({"service.py", "models.py"})
_NOT_RUN = frozenset({"skip", "skipif", "xfail", "importorskip"})


@dataclass(frozen=True, slots=True)
class Module:
    """A Python file: where it is in the repository, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_test(self) -> bool:
        return "/tests/" in f"/{self.path}" and self.name.startswith("test_")

    @property
    def is_product(self) -> bool:
        """What is shipped: not tests, not what stands in for the outside world."""
        return self.path.startswith(("libs/", "services/")) and "/src/" in self.path


def modules(root: Path) -> list[Module]:
    """Every Python file of the repository at ``root``."""
    found = []
    for top in _SOURCES:
        for path in sorted((root / top).rglob("*.py")):
            relative = path.relative_to(root)
            if not _APART.intersection(relative.parts):
                found.append(Module(relative.as_posix(), path.read_text(encoding="utf-8")))
    return found


def sizes(module: Module) -> Iterator[tuple[str, int]]:
    """What is too long: ``path`` or ``path:qualified.function``, and its lines."""
    lines = module.text.count("\n")
    if lines > MAX_FILE_LINES:
        yield module.path, lines
    for name, node in _functions(module.tree, ""):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > MAX_FUNCTION_LINES:
            yield f"{module.path}:{name}", length


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            yield from _functions(child, f"{name}.")
        else:
            yield from _functions(child, prefix)


def size_gaps(too_long: Mapping[str, int], allowed: Mapping[str, int]) -> list[str]:
    """What is too long and not excepted, what has grown, and exceptions that are no longer needed at that size."""
    gaps = [f"{name} has {lines} lines" for name, lines in too_long.items() if lines > allowed.get(name, 0)]
    for name, lines in allowed.items():
        now = too_long.get(name, 0)
        if now < lines:
            gaps.append(f"{name}: the exception allows {lines} lines, it has {now or 'few enough'}; lower or remove it")
    return gaps


def category_gap(module: Module) -> str | None:
    """A test module says by ``pytestmark`` what it needs, once, at the top."""
    marks: set[str] = set()
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and any(_name(target) == "pytestmark" for target in node.targets):
            marks = {part.attr for part in ast.walk(node.value) if isinstance(part, ast.Attribute)}
    if len(marks & CATEGORIES) != 1:
        return f"{module.path}: wants `pytestmark = pytest.mark.unit`, `integration` or `e2e`"
    return None


def not_run(module: Module) -> list[str]:
    """Tests that are skipped or expected to fail."""
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in _NOT_RUN and _dotted(node).startswith("pytest"):
            found.append(f"{module.path}:{node.lineno}: {_dotted(node)}; a test runs or isn't there")
    return found


def waits(module: Module) -> list[str]:
    """``time.sleep`` in tests: it is either too short or too long."""
    return [
        f"{module.path}:{node.lineno}: time.sleep; wait for the event itself"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _dotted(node.func) == "time.sleep"
    ]


def clock_calls(module: Module) -> list[str]:
    """Time and chance that did not come from an argument."""
    return [
        f"{module.path}:{node.lineno}: {_dotted(node.func)}; take a Clock, Ids or random.Random as an argument"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _dotted(node.func) in _CLOCKS
    ]


def framework_imports(module: Module) -> list[str]:
    """Frameworks in the files that hold what a clinic would recognise."""
    if module.name not in _DOMAIN_FILES:
        return []
    return [
        f"{module.path}:{line}: imports {name}; a domain module knows no framework"
        for name, line in _imported(module.tree)
        if name.partition(".")[0] in _FRAMEWORKS
    ]


def imports_of(module: Module, package: str) -> list[int]:
    """The lines on which ``module`` imports ``package`` or something in it."""
    return [line for name, line in _imported(module.tree) if name == package or name.startswith(f"{package}.")]


def _imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module, node.lineno


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` of an attribute chain; "" of anything else."""
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return _name(node)
