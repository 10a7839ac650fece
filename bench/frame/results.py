"""What is kept of a run. JSON in ``bench/results/<name>.json`` holds the figures that were accepted last.

Durations are seconds, memory is bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Role = Literal["ours", "peer", "floor"]
Statistic = Literal["p50", "p95", "p99"]

ACCEPTED = Path(__file__).parents[1] / "results"
QUIET = (0.9, 1.1)
"""Where the ratio of a side to itself must lie; else the machine did something else beside the bench."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Kept):
    """A median with its 95 % interval over ``n`` values."""

    median: float
    low: float
    high: float
    n: int


class SideFigures(_Kept):
    """``n`` latencies with their quantiles; ``cpu_s`` and ``pss_bytes`` are per unit and of the whole tree, over batches."""

    name: str
    role: Role
    n: int
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    cpu_s: Spread | None = None
    pss_bytes: Spread | None = None


class Comparison(_Kept):
    """Ours divided by ``against``, block by block. ``goal``: the largest ratio that will do."""

    measure: str
    against: str
    ratio: Spread
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.ratio.median <= self.goal


class Agreement(_Kept):
    """A/A: a side's first batches of the blocks divided by its second ones."""

    side: str
    measure: str
    ratio: Spread

    @property
    def quiet(self) -> bool:
        return QUIET[0] <= self.ratio.median <= QUIET[1]


class Case(_Kept):
    """One interleaved comparison; the first side is ours. ``unit`` is the singular of what is counted: "request"."""

    title: str
    unit: str
    blocks: int
    sides: tuple[SideFigures, ...]
    comparisons: tuple[Comparison, ...]
    agreements: tuple[Agreement, ...]


class Goal(_Kept):
    """The statistic of a figure that must not exceed ``limit``, in the figure's unit."""

    of: Statistic
    limit: float


class Figure(_Kept):
    """Something measured by itself, in ``unit`` ("ms", "MB", ...). ``p95`` and ``p99`` only where there are enough values."""

    title: str
    unit: str
    p50: Spread
    p95: float | None = None
    p99: float | None = None
    goal: Goal | None = None

    def value(self, of: Statistic) -> float | None:
        return {"p50": self.p50.median, "p95": self.p95, "p99": self.p99}[of]

    @property
    def met(self) -> bool | None:
        """None without a goal, and where too little was measured for the goal's statistic."""
        value = None if self.goal is None else self.value(self.goal.of)
        return None if self.goal is None or value is None else value <= self.goal.limit


class Provenance(_Kept):
    """``date`` is UTC, ISO 8601; ``load``: the machine's one-minute load average when the run began and when it had ended."""

    command: str
    commit: str
    date: str
    machine: str
    seed: int
    quick: bool
    load: tuple[float, float]
    seconds: float


class Result(_Kept):
    """A run. ``notes`` say under which conditions: sizes, pinning, what is left out."""

    name: str
    provenance: Provenance
    cases: tuple[Case, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def noisy(self) -> bool:
        """Whether any side disagrees with itself, in a measure that is compared."""
        return not all(one.quiet for case in self.cases for one in case.agreements)

    def cpu_per_unit(self) -> dict[str, float]:
        """CPU seconds per unit of every side of ours, by case."""
        return {
            f"{self.name}: {case.title}: {side.name}": side.cpu_s.median
            for case in self.cases
            for side in case.sides
            if side.role == "ours" and side.cpu_s is not None
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Result:
        return cls.model_validate_json(path.read_text(encoding="utf-8"))


def accepted(folder: Path = ACCEPTED) -> Iterator[Result]:
    """The figures of every bench that has any, by name."""
    for path in sorted(folder.glob("*.json")):
        yield Result.read(path)
