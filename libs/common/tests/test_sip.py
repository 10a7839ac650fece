"""SIP attributes as admission sees them."""

from __future__ import annotations

import pytest
from switchboard.sip import is_active, normal_number, sip_facts

pytestmark = pytest.mark.unit

ATTRIBUTES = {
    "sip.callID": "SCL_1",
    "sip.trunkPhoneNumber": "15550001111",
    "sip.phoneNumber": "+15559990000",
    "sip.twilio.accountSid": "AC1",
    "switchboard.trunk": "platform",
    "sip.callStatus": "ringing",
}


def test_the_facts_are_read_from_the_legs_attributes() -> None:
    facts = sip_facts(ATTRIBUTES)
    assert (facts.sip_call_id, facts.trunk, facts.carrier_account) == ("SCL_1", "platform", "AC1")
    assert (facts.dialled, facts.caller) == ("+15550001111", "+15559990000")


def test_what_is_not_stated_is_none_and_never_guessed() -> None:
    facts = sip_facts({"sip.trunkPhoneNumber": "+15550001111"})
    assert (facts.trunk, facts.carrier_account, facts.caller) == (None, None, None)


@pytest.mark.parametrize(("given", "normal"), [("15550001111", "+15550001111"), ("+1555", "+1555"), ("bob", "bob")])
def test_numbers_come_with_and_without_a_plus(given: str, normal: str) -> None:
    assert normal_number(given) == normal


def test_only_active_is_active() -> None:
    assert not is_active(ATTRIBUTES)
    assert not is_active({})
    assert is_active({"sip.callStatus": "active"})
