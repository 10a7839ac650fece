"""The difference as a pure function, tried over made-up inventories."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenant_svc.reconciler.models import Held, Inventory, Plan, TrunkSpec
from tenant_svc.reconciler.plan import difference

pytestmark = pytest.mark.unit


def trunk(key: str, *numbers: str, address: str = "192.0.2.1/32") -> TrunkSpec:
    return TrunkSpec(key, (address,), numbers, 25, 14_400)


def held(id_: str, spec: TrunkSpec) -> Held[TrunkSpec]:
    return Held(id_, spec.name, spec)


def carried_out(plan: Plan[TrunkSpec], inventory: Inventory[TrunkSpec]) -> Inventory[TrunkSpec]:
    there = {item.id: item for item in inventory.ours}
    for delete in plan.deletes:
        del there[delete.id]
    for change in plan.replaces:
        there[change.id] = held(change.id, change.spec)
    for number, create in enumerate(plan.creates):
        there[f"NEW_{number}"] = held(f"NEW_{number}", create.spec)
    return Inventory(tuple(there.values()), inventory.foreign)


def test_nothing_to_do_is_nothing() -> None:
    spec = trunk("platform")
    plan = difference([spec], Inventory((held("ST_1", spec),), foreign=3))
    assert not plan
    assert plan.kept == {"platform": "ST_1"}


def test_missing_changed_and_superfluous() -> None:
    a, b, c = trunk("a", "+34911000101"), trunk("b", "+34911000102"), trunk("c")
    plan = difference([a, b], Inventory((held("ST_1", replace(b, ringing_timeout_s=60)), held("ST_2", c))))
    assert [create.spec for create in plan.creates] == [a]
    assert [(change.id, change.spec) for change in plan.replaces] == [("ST_1", b)]
    assert [delete.id for delete in plan.deletes] == ["ST_2"]


def test_something_unreadable_under_our_name_is_written_again() -> None:
    spec = trunk("platform")
    plan = difference([spec], Inventory((Held("ST_1", spec.name, None),)))
    assert [(change.id, change.spec) for change in plan.replaces] == [("ST_1", spec)]


def test_of_two_with_one_name_everybody_keeps_the_same() -> None:
    spec = trunk("platform")
    unreadable: Held[TrunkSpec] = Held("ST_0", spec.name, None)
    pair = (held("ST_2", spec), unreadable, held("ST_1", spec))
    for order in (pair, pair[::-1]):
        plan = difference([spec], Inventory(order))
        assert plan.kept == {"platform": "ST_1"}
        assert sorted(delete.id for delete in plan.deletes) == ["ST_0", "ST_2"]
        assert not plan.replaces
        assert not plan.creates


KEYS = st.sampled_from(["platform", "a", "b", "c"])
SPECS = st.builds(
    trunk,
    KEYS,
    st.sampled_from(["+34911000101", "+34911000102"]),
    address=st.sampled_from(["192.0.2.1/32", "192.0.2.2/32"]),
)
DESIRED = st.lists(SPECS, unique_by=lambda spec: spec.key)
HELD = st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), SPECS, st.booleans()), unique_by=lambda item: item[0])


@settings(deadline=None)
@given(DESIRED, HELD)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    desired: list[TrunkSpec], there: list[tuple[str, TrunkSpec, bool]]
) -> None:
    inventory = Inventory(
        tuple(Held(f"ST_{id_}", spec.name, spec if readable else None) for id_, spec, readable in there)
    )
    after = carried_out(difference(desired, inventory), inventory)
    assert not difference(desired, after)
    assert {item.spec for item in after.ours} == set(desired)
    assert len(after.ours) == len(desired)
