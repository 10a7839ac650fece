"""Every metric is declared through one module, under a name of OpenTelemetry's conventions or of a namespace of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from switchboard.telemetry.metrics import exported
from switchboard.testing import house
from switchboard.testing.house import Module
from switchboard.testing.metric_names import Declared, complaints, declared, standard, strays

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PRODUCT = [module for module in house.modules(ROOT) if module.is_product]
METRICS = [metric for module in PRODUCT for metric in declared(module)[0]]


def test_every_metric_follows_the_conventions() -> None:
    assert [line for module in PRODUCT for line in declared(module)[1]] == []
    assert len(METRICS) >= 18
    assert complaints(METRICS) == []
    for metric in METRICS:
        exported(metric.name, metric.unit)


def test_metrics_are_made_in_one_way() -> None:
    assert [line for module in PRODUCT for line in strays(module)] == []


def test_every_metric_is_in_the_operators_list() -> None:
    """And nothing else is: as it is exported, in the first column."""
    text = (ROOT / "docs" / "operations" / "metrics.md").read_text(encoding="utf-8")
    table = text.partition("\n## ")[0]
    listed = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    suffix = {"counter": "_total"}
    assert listed == {exported(one.name, one.unit) + suffix.get(one.kind, "") for one in METRICS}


def one(*lines: str) -> Module:
    return Module("services/x/src/x/main.py", "\n".join(lines))


def test_declarations_are_found_wherever_they_stand() -> None:
    module = one(
        'a = PROCESS.counter("x.a", "A", ("outcome",))',
        'service.metrics.gauge("x.b", "B", unit="By")',
        'metrics.histogram("x.c", "C")',
        'other.counter("x.d")',
    )
    found, unread = declared(module)
    assert unread == []
    assert [(metric.kind, metric.name, metric.unit, metric.labels) for metric in found] == [
        ("counter", "x.a", "", ("outcome",)),
        ("gauge", "x.b", "By", ()),
        ("histogram", "x.c", "s", ()),
    ]


@pytest.mark.parametrize("line", ['PROCESS.counter(name, "A")', 'metrics.gauge(f"x.{a}", "A")'])
def test_a_declaration_that_cant_be_read_is_found(line: str) -> None:
    assert len(declared(one(line))[1]) == 1


@pytest.mark.parametrize("line", ["import prometheus_client", "from prometheus_client.registry import Collector"])
def test_a_metric_made_past_the_one_way_is_found(line: str) -> None:
    assert len(list(strays(one(line)))) == 1


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rpc.server.requests", "none of the conventions' names"),
        ("calls.admitted", "none of the namespaces"),
    ],
)
def test_a_name_outside_of_the_conventions_and_of_our_namespaces_is_found(name: str, problem: str) -> None:
    found = complaints([Declared("here", "counter", name, "", ())])
    assert len(found) == 1
    assert problem in found[0]


def test_one_name_means_one_thing() -> None:
    first = Declared("here", "counter", "switchboard.x", "", ("stage",))
    assert complaints([first, Declared("there", "counter", "switchboard.x", "", ("stage",))]) == []
    assert len(complaints([first, Declared("there", "counter", "switchboard.x", "", ("fault",))])) == 1


def test_the_conventions_are_there() -> None:
    assert {"http.server.request.duration", "rpc.server.call.duration", "messaging.process.duration"} <= standard()
