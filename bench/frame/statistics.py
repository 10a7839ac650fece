"""Medians and their spread. Durations are seconds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence

from bench.frame.results import Figure, Goal, Spread

# Below these counts a tail is a guess (p95 of 40 values is the second largest).
LEAST_FOR_P95 = 40
LEAST_FOR_P99 = 200
RESAMPLES = 2000


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share ``q`` (0..1) lies, by the nearest rank: one that was measured, not interpolated."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def p95(values: Sequence[float]) -> float | None:
    return quantile(values, 0.95) if len(values) >= LEAST_FOR_P95 else None


def p99(values: Sequence[float]) -> float | None:
    return quantile(values, 0.99) if len(values) >= LEAST_FOR_P99 else None


def spread(
    values: Sequence[float], seed: int = 1, of: Callable[[Sequence[float]], float] = statistics.median
) -> Spread:
    """``of`` the values with its 95 % interval, by the percentile bootstrap."""
    draw = random.Random(seed)
    again = [of(draw.choices(values, k=len(values))) for _ in range(RESAMPLES if len(values) > 1 else 1)]
    return Spread(median=of(values), low=quantile(again, 0.025), high=quantile(again, 0.975), n=len(values))


def figure(
    title: str, unit: str, values: Sequence[float], *, factor: float = 1.0, goal: Goal | None = None, seed: int = 1
) -> Figure:
    """Values times ``factor`` (1000 makes milliseconds of seconds) as a line of the page."""
    scaled = [factor * value for value in values]
    return Figure(
        title=title, unit=unit, p50=spread(scaled, seed), p95=p95(scaled), p99=p99(scaled), goal=goal
    )  # fmt: skip
