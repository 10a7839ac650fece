"""The difference between what LiveKit should hold and what it holds: a pure function."""

from __future__ import annotations

from collections.abc import Sequence

from tenant_svc.reconciler.models import Create, Delete, Held, Inventory, Plan, Replace, SpecT


def difference(desired: Sequence[SpecT], inventory: Inventory[SpecT]) -> Plan[SpecT]:
    """What makes ``inventory`` hold exactly ``desired`` and, of two of one name, only one.

    Applied to what it leads to, it gives an empty plan. Nothing without our prefix is in it.
    """
    wanted = {spec.name: spec for spec in desired}
    held: dict[str, Held[SpecT]] = {}
    deletes: list[Delete] = []
    for item in sorted(inventory.ours, key=_best_first):
        if item.name in wanted and item.name not in held:
            held[item.name] = item
        else:
            deletes.append(Delete(item.id, item.name))
    replaces = [Replace(item.id, wanted[name]) for name, item in held.items() if item.spec != wanted[name]]
    creates = [Create(spec) for name, spec in wanted.items() if name not in held]
    kept = {wanted[name].key: item.id for name, item in held.items()}
    return Plan(tuple(deletes), tuple(replaces), tuple(creates), kept)


def _best_first(item: Held[SpecT]) -> tuple[bool, str]:
    """Of two with one name the readable one stays, and of those the one that everybody picks."""
    return item.spec is None, item.id
