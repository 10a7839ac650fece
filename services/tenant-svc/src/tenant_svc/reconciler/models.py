"""What LiveKit should hold, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PREFIX = "switchboard:"
"""Begins the name of every trunk and rule that is ours. What has another name is left alone, and counted."""

TRUNK_ATTRIBUTE = "switchboard.trunk"
"""The participant's attribute with our own name of the trunk, set by the rule (docs/decisions/0002)."""


@dataclass(frozen=True, slots=True)
class TrunkSpec:
    """An inbound trunk. ``key`` is our name of it: ``platform``, or the id of a customer's trunk in 32 hex characters.

    Durations in seconds. No numbers: any dialled number.
    """

    key: str
    addresses: tuple[str, ...]
    numbers: tuple[str, ...]
    ringing_timeout_s: int
    max_call_s: int
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        return f"{PREFIX}trunk:{self.key}"


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A dispatch rule of exactly one trunk: a room for each call, and the agent that is sent there."""

    key: str
    trunk_id: str
    agent_name: str
    room_prefix: str

    @property
    def name(self) -> str:
        return f"{PREFIX}rule:{self.key}"

    @property
    def attributes(self) -> Mapping[str, str]:
        return {TRUNK_ATTRIBUTE: self.key}


SpecT = TypeVar("SpecT", TrunkSpec, RuleSpec)


@dataclass(frozen=True, slots=True)
class Held(Generic[SpecT]):
    """Something in LiveKit under our prefix. ``spec`` is ``None`` when it is nothing that we would write."""

    id: str
    name: str
    spec: SpecT | None


@dataclass(frozen=True, slots=True)
class Inventory(Generic[SpecT]):
    """All trunks, or all rules, of one LiveKit. ``foreign`` counts those that aren't ours."""

    ours: tuple[Held[SpecT], ...]
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class Create(Generic[SpecT]):
    spec: SpecT


@dataclass(frozen=True, slots=True)
class Replace(Generic[SpecT]):
    id: str
    spec: SpecT


@dataclass(frozen=True, slots=True)
class Delete:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Plan(Generic[SpecT]):
    """Differences in the order in which they are carried out: what goes makes room for what comes."""

    deletes: tuple[Delete, ...]
    replaces: tuple[Replace[SpecT], ...]
    creates: tuple[Create[SpecT], ...]
    kept: Mapping[str, str]
    """Our name -> LiveKit's id, of what stays or is replaced."""

    def __bool__(self) -> bool:
        return bool(self.deletes or self.replaces or self.creates)
