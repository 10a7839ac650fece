"""What is written to LiveKit is read back as what it was written from."""

from __future__ import annotations

import pytest
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo
from tenant_svc.adapters.livekit import read_rule, read_trunk, write_rule, write_trunk
from tenant_svc.reconciler.models import RuleSpec, TrunkSpec

pytestmark = pytest.mark.unit

TRUNK = TrunkSpec("ab" * 16, ("192.0.2.1/32",), ("+34911000101",), 25, 14_400, "sbc", "hunter2hunter2")
RULE = RuleSpec("platform", "ST_1", "receptionist", "call")


def test_both_ways() -> None:
    assert read_trunk(write_trunk(TRUNK)) == TRUNK
    assert read_rule(write_rule(RULE)) == RULE


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(TRUNK)


def test_a_rule_without_its_trunk_is_never_written() -> None:
    with pytest.raises(AssertionError):
        write_rule(RuleSpec("platform", "", "receptionist", "call"))


def _named(name: str) -> SIPInboundTrunkInfo:
    info = write_trunk(TRUNK)
    info.name = info.metadata = name
    return info


def test_a_trunk_that_we_would_not_write_is_told_apart() -> None:
    only_some_callers = write_trunk(TRUNK)
    only_some_callers.allowed_numbers.append("+34911000999")
    without_headers = write_trunk(TRUNK)
    without_headers.include_headers = 0  # type: ignore[assignment]
    for info in (only_some_callers, without_headers, _named("switchboard:other")):
        assert read_trunk(info) is None


def test_a_rule_that_we_would_not_write_is_told_apart() -> None:
    def changed(change: str) -> SIPDispatchRuleInfo:
        info = write_rule(RULE)
        if change == "wildcard":
            del info.trunk_ids[:]
        elif change == "second trunk":
            info.trunk_ids.append("ST_2")
        elif change == "other trunk's name":
            info.attributes["switchboard.trunk"] = "ab" * 16
        elif change == "attribute":
            info.attributes["tenant"] = "x"
        elif change == "pin":
            info.rule.dispatch_rule_direct.room_name = "lobby"
        elif change == "callers":
            info.inbound_numbers.append("+34911000101")
        elif change == "agent":
            del info.room_config.agents[:]
        return info

    assert read_rule(changed("nothing")) == RULE
    for change in ("wildcard", "second trunk", "other trunk's name", "attribute", "pin", "callers", "agent"):
        assert read_rule(changed(change)) is None, change
