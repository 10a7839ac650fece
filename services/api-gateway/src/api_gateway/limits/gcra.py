"""GCRA, the leaky bucket as a meter: what a limit is, what it says of a request, and the same arithmetic in this process.

For each key one number is kept: the theoretical arrival time (TAT), at which the whole quota is there again. A request moves
it on by ``window / quota``; it is refused when that would put it more than a window ahead. Times are microseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """``quota`` requests in ``window_s`` seconds, all at once if need be; ``name`` is public."""

    name: str
    quota: int
    window_s: int
    emission_us: int = field(init=False)
    """What one request costs."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "emission_us", -(-self.window_s * MICRO // self.quota))

    def divided(self, by: int) -> Policy:
        """The same window with a part of the quota, at least one request."""
        return Policy(self.name, max(1, self.quota // by), self.window_s)


@dataclass(frozen=True, slots=True)
class Charge:
    """One request's claim on a limit. A ``cost`` of 0 takes nothing, and is refused where one request would be."""

    policy: Policy
    key: str
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a limit says of a request. ``reset_us`` until the whole quota is there again, ``wait_us`` until this request would
    be let through: above 0 it is refused."""

    policy: Policy
    remaining: int
    reset_us: int
    wait_us: int


@dataclass(frozen=True, slots=True)
class Decision:
    """All limits of one request. It is let through when all of them agree; otherwise it counts for none."""

    outcomes: tuple[Outcome, ...]
    shared: bool = True
    """Whether all gateways counted together."""

    @property
    def refused(self) -> Outcome | None:
        """The limit that keeps the request waiting longest."""
        worst = max(self.outcomes, key=_wait_us, default=None)
        return worst if worst is not None and worst.wait_us > 0 else None


def _wait_us(outcome: Outcome) -> int:
    return outcome.wait_us


class LocalLimits:
    """Limits of this process alone. At most ``size`` keys of each policy, the longest untouched ones go first."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._arrivals: dict[str, OrderedDict[str, int]] = {}

    def take(self, charges: Sequence[Charge], now_us: int) -> Decision:
        """At ``now_us`` of a clock that does not go back."""
        arrivals = [max(now_us, self._table(charge).get(charge.key, now_us)) for charge in charges]
        waits = [_wait(charge, arrival, now_us) for charge, arrival in zip(charges, arrivals, strict=True)]
        if max(waits, default=0) <= 0:
            arrivals = [self._move(charge, arrival) for charge, arrival in zip(charges, arrivals, strict=True)]
        return Decision(
            tuple(
                Outcome(
                    charge.policy,
                    max(0, (now_us + _window(charge.policy) - arrival) // charge.policy.emission_us),
                    arrival - now_us,
                    max(0, wait),
                )
                for charge, arrival, wait in zip(charges, arrivals, waits, strict=True)
            ),
            shared=False,
        )

    def _table(self, charge: Charge) -> OrderedDict[str, int]:
        return self._arrivals.setdefault(charge.policy.name, OrderedDict())

    def _move(self, charge: Charge, arrival: int) -> int:
        if charge.cost == 0:
            return arrival
        table = self._table(charge)
        table[charge.key] = moved = arrival + charge.cost * charge.policy.emission_us
        table.move_to_end(charge.key)
        if len(table) > self._size:
            table.popitem(last=False)
        return moved


def _window(policy: Policy) -> int:
    return policy.emission_us * policy.quota


def _wait(charge: Charge, arrival: int, now_us: int) -> int:
    return arrival + max(1, charge.cost) * charge.policy.emission_us - now_us - _window(charge.policy)
