"""A result's cases as an SVG: latency and CPU of each side, beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.frame.report import duration
from bench.frame.results import Case, Result, Role, SideFigures

COLOURS: dict[Role, str] = {"ours": "#1f6f8b", "peer": "#c98a2b", "floor": "#9aa5ad"}
Value = Callable[[SideFigures], float | None]


def _cpu(side: SideFigures) -> float | None:
    return None if side.cpu_s is None else side.cpu_s.median


def _cpu_high(side: SideFigures) -> float | None:
    return None if side.cpu_s is None else side.cpu_s.high


PANELS: tuple[tuple[str, Value, Value], ...] = (
    ("latency, p50 with p95 as the line", lambda side: side.p50_s, lambda side: side.p95_s),
    ("CPU a unit, median with its 95 % interval", _cpu, _cpu_high),
)


def draw(result: Result, path: Path) -> bool:
    """Writes the chart; False, and nothing written, where the result compares nothing."""
    if not result.cases:
        return False
    # The same figures give the same file: no date, no drawn ids; text stays text.
    with mpl.rc_context({"svg.hashsalt": "switchboard", "svg.fonttype": "none", "font.size": 9}):
        height = sum(0.9 + 0.35 * len(case.sides) for case in result.cases)
        canvas = Canvas(figsize=(9.5, height), layout="constrained")
        weights = [0.9 + 0.35 * len(case.sides) for case in result.cases]
        grid = canvas.subplots(len(result.cases), len(PANELS), squeeze=False, gridspec_kw={"height_ratios": weights})
        for row, case in zip(grid, result.cases, strict=True):
            for axes, panel in zip(row, PANELS, strict=True):
                _panel(axes, case, panel)
        path.parent.mkdir(parents=True, exist_ok=True)
        canvas.savefig(path, format="svg", metadata={"Date": None})
    return True


def _panel(axes: Axes, case: Case, panel: tuple[str, Value, Value]) -> None:
    title, middle, tail = panel
    axes.set_title(f"{case.title}: {title}", loc="left", fontsize=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_xticks([])
    axes.set_yticks(range(len(case.sides)), [side.name for side in case.sides])
    axes.invert_yaxis()
    longest = max((value for side in case.sides for value in (middle(side), tail(side)) if value), default=0.0)
    axes.set_xlim(0, longest * 1.35 or 1)
    for at, side in enumerate(case.sides):
        value, end = middle(side), tail(side)
        if value is None:
            continue
        axes.barh(at, value, height=0.6, color=COLOURS[side.role])
        if end:
            axes.plot([value, end], [at, at], color="#333333", linewidth=1)
        axes.text(max(value, end or 0) + longest * 0.02, at, duration(value), va="center")
