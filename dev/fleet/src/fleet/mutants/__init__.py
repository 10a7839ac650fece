"""A promise, the line that keeps it, and the test that notices when the line is gone. ``python -m fleet.mutants``.

Each mutant is a copy of one or more packages with a snippet replaced, put before the real ones on the module path of one
test's run. It is caught when that test fails, and says what the mutant's ``reason`` (a regular expression) names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Edit:
    """``before`` stands in ``path`` (from the repository's root) exactly once."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Mutant:
    promise: str
    what: str
    edits: tuple[Edit, ...]
    test: str
    """The path of a test file and the name of the test in it, ``path::name``."""
    reason: str
    environment: Mapping[str, str] = field(default_factory=dict)
