"""Results with made-up figures."""

from __future__ import annotations

from bench.frame.interleave import CPU, LATENCY, Against, Batch, Side, Trial
from bench.frame.results import Figure, Goal, Provenance, Result, Spread

MACHINE = "Some CPU, 2 cores, Python 3.11.7"


def batch(latency_s: float, cpu_s: float, units: int = 10) -> Batch:
    """Every unit alike; ``cpu_s`` is per unit."""
    return Batch(units, (latency_s,) * units, cpu_s * units, 50_000_000)


async def never(units: int) -> Batch:
    raise AssertionError("made-up sides don't run")


def trial(ours: tuple[float, float], peer: tuple[float, float], drift: float = 1.0, blocks: int = 5) -> Trial:
    """Latency and CPU a unit of two sides. ``drift``: by how much each side's second batch of a block is larger."""
    sides = (Side("our wrapper", "ours", never), Side("the library", "peer", never))
    batches = {
        side.name: [(batch(*figures), batch(figures[0] * drift, figures[1] * drift))] * blocks
        for side, figures in zip(sides, (ours, peer), strict=True)
    }
    return Trial(sides, batches)


def result(*, latency_s: float = 0.002, cpu_s: float = 0.0002, drift: float = 1.0, machine: str = MACHINE) -> Result:
    made = trial((latency_s, cpu_s), (0.001, 0.0001), drift)
    claims = (Against("the library", LATENCY, 1.25), Against("the library", CPU))
    run = Provenance(
        command="python -m bench.thing", commit="0000000", date="2026-01-02T03:04", machine=machine,
        seed=1, quick=False, load=(0.1, 0.2), seconds=12.0,
    )  # fmt: skip
    figure = Figure(
        title="cold start", unit="ms", p50=Spread(median=12.3, low=11, high=14, n=60), p95=20.5,
        goal=Goal(of="p95", limit=10),
    )  # fmt: skip
    return Result(name="thing", provenance=run, cases=(made.case("thing", "request", claims),), figures=(figure,))
