"""The metrics that the code declares, read from its text, and whether they are named by OpenTelemetry's conventions."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from opentelemetry.semconv._incubating import metrics as conventions

from switchboard.testing.house import Module

_KINDS = frozenset({"counter", "gauge", "histogram"})
_MADE_HERE = "libs/common/src/switchboard/telemetry/metrics.py"

OWN = ("switchboard", "api_gateway", "tenant_svc", "call_orchestrator", "voice_agent", "rag_svc", "ingest_worker")
"""The namespaces of what no convention names: ours, and each service's."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One metric. ``where`` is path and line."""

    where: str
    kind: str
    name: str
    unit: str
    labels: tuple[str, ...]


def declared(module: Module) -> tuple[list[Declared], list[str]]:
    """The metrics of a module, and complaints about declarations that can't be read: everything in one is a literal."""
    found: list[Declared] = []
    complaints: list[str] = []
    if module.path == _MADE_HERE:
        return found, complaints
    for call in ast.walk(module.tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _declares(call.func):
            where = f"{module.path}:{call.lineno}"
            try:
                found.append(_read(where, call.func.attr, call))
            except (ValueError, IndexError):
                complaints.append(f"{where}: name, description, labels and unit of a metric are literals")
    return found, complaints


def _declares(function: ast.Attribute) -> bool:
    """``PROCESS.counter``, ``service.metrics.gauge``, ``metrics.histogram``."""
    owner = function.value
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return function.attr in _KINDS and name.lower().endswith(("metrics", "process"))


def _read(where: str, kind: str, call: ast.Call) -> Declared:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    given = dict(zip(("name", "description", "labels", "unit"), call.args, strict=False)) | named
    name = ast.literal_eval(given["name"])
    unit = ast.literal_eval(given["unit"]) if "unit" in given else "s" if kind == "histogram" else ""
    labels = given.get("labels")
    if isinstance(labels, ast.Name):
        labels = None  # a constant beside it; Metrics itself looks at its values
    return Declared(where, kind, str(name), str(unit), tuple(ast.literal_eval(labels)) if labels else ())


def strays(module: Module) -> Iterator[str]:
    """Metrics made past the one way: whoever imports the client library makes them as it likes."""
    if module.path == _MADE_HERE:
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if any(name == "prometheus_client" or name.startswith("prometheus_client.") for name in names):
            yield f"{module.path}:{node.lineno}: metrics are declared through switchboard.telemetry"


@cache
def standard() -> frozenset[str]:
    """Every metric name of OpenTelemetry's semantic conventions, as the pinned version has them."""
    names: set[str] = set()
    for one in pkgutil.iter_modules(conventions.__path__):
        values = vars(importlib.import_module(f"{conventions.__name__}.{one.name}"))
        names |= {value for key, value in values.items() if key.isupper() and isinstance(value, str)}
    return frozenset(names)


def complaints(metrics: Iterable[Declared]) -> list[str]:
    """What is in a namespace of the conventions is one of theirs; anything else is in one of ours; a name means one thing."""
    found: list[str] = []
    first: dict[str, Declared] = {}
    for metric in metrics:
        namespace = metric.name.partition(".")[0]
        if namespace not in OWN and metric.name not in standard():
            known = any(name.startswith(namespace + ".") for name in standard())
            wrong = "is none of the conventions' names" if known else f"is in none of the namespaces {', '.join(OWN)}"
            found.append(f"{metric.where}: {metric.name} {wrong}")
        same = first.setdefault(metric.name, metric)
        if (same.kind, same.unit, same.labels) != (metric.kind, metric.unit, metric.labels):
            found.append(f"{metric.where}: {metric.name} is something else at {same.where}")
    return found
