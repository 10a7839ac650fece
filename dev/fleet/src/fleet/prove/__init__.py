"""The long forms of what CI runs shortly, and the table of what came of them. ``python -m fleet.prove [ROW]``.

A row is a promise, the tests that try it, and the environment of their long form. Tests say how often they tried, with
pytest's ``record_property("kills", 20)``; what they don't say is not in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Tried = Callable[[str, object], None]
"""pytest's fixture ``record_property``: what was tried, in the plural, and how often."""


@dataclass(frozen=True, slots=True)
class Row:
    """``tests``: files from the repository's root, or ``path::name``; all in one run of pytest.

    ``module`` is run instead of pytest where it is a command of its own, that says "N of M caught". ``containers``: needs a
    container engine, and is left out where none answers.
    """

    name: str
    promise: str
    tests: tuple[str, ...] = ()
    long_form: Mapping[str, str] = field(default_factory=dict)
    module: str = ""
    containers: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a row. ``failed``: what did not hold, the tests' names first; ``left_out``: why it was not run."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    tried: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    left_out: str = ""

    @property
    def ok(self) -> bool:
        return not self.failed and (self.passed > 0 or bool(self.left_out))
