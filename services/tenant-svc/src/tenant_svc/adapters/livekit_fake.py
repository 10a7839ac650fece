"""A LiveKit in memory for unit tests: it makes its own ids, and refuses what the real one refuses."""

from __future__ import annotations

from dataclasses import dataclass, field

from switchboard.errors import Unavailable

from tenant_svc.adapters.livekit import Refused
from tenant_svc.reconciler.models import Held, Inventory, RuleSpec, TrunkSpec


@dataclass
class FakeLiveKitSip:
    """``away`` makes every request fail; ``refuses`` are keys of trunks that it does not take; ``writes`` counts."""

    held_trunks: dict[str, TrunkSpec] = field(default_factory=dict)
    held_rules: dict[str, RuleSpec] = field(default_factory=dict)
    away: bool = False
    refuses: set[str] = field(default_factory=set)
    writes: int = 0

    def empty(self) -> None:
        """As after FLUSHALL."""
        self.held_trunks.clear()
        self.held_rules.clear()

    def _answer(self, writes: int = 1) -> None:
        if self.away:
            raise Unavailable("LiveKit does not answer")
        self.writes += writes

    async def trunks(self) -> Inventory[TrunkSpec]:
        self._answer(0)
        return Inventory(tuple(Held(key, spec.name, spec) for key, spec in self.held_trunks.items()))

    async def create_trunk(self, spec: TrunkSpec) -> str:
        self._answer()
        if spec.key in self.refuses or _conflicts(spec, self.held_trunks):
            raise Refused("LiveKit answered invalid_argument")
        made = f"ST_{self.writes}"
        self.held_trunks[made] = spec
        return made

    async def replace_trunk(self, trunk_id: str, spec: TrunkSpec) -> None:
        self._answer()
        self.held_trunks[trunk_id] = spec

    async def delete_trunk(self, trunk_id: str) -> None:
        self._answer()
        self.held_trunks.pop(trunk_id, None)

    async def rules(self) -> Inventory[RuleSpec]:
        self._answer(0)
        return Inventory(tuple(Held(key, spec.name, spec) for key, spec in self.held_rules.items()))

    async def create_rule(self, spec: RuleSpec) -> str:
        self._answer()
        if any(held.trunk_id == spec.trunk_id for held in self.held_rules.values()):
            raise Refused("LiveKit answered invalid_argument")
        made = f"SDR_{self.writes}"
        self.held_rules[made] = spec
        return made

    async def replace_rule(self, rule_id: str, spec: RuleSpec) -> None:
        self._answer()
        self.held_rules[rule_id] = spec

    async def delete_rule(self, rule_id: str) -> None:
        self._answer()
        self.held_rules.pop(rule_id, None)


def _conflicts(spec: TrunkSpec, held: dict[str, TrunkSpec]) -> bool:
    """Two trunks with one number, or two without any."""
    return any(
        (not spec.numbers and not other.numbers) or set(spec.numbers) & set(other.numbers) for other in held.values()
    )
