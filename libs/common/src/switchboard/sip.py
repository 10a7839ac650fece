"""What LiveKit SIP says of a leg, as attributes of its participant; read alike by the job and by the watch over rooms."""

from __future__ import annotations

from collections.abc import Mapping

from switchboard.contracts.calls import SipFacts
from switchboard.sealed import Sealed

CALL_STATUS = "sip.callStatus"
ACTIVE = "active"
TRUNK = "switchboard.trunk"
"""Set by our dispatch rule: a caller can't write it."""

_CARRIER_ACCOUNTS = ("sip.twilio.accountSid", "twilio.accountSid")


def normal_number(text: str) -> str:
    """A dialled number with its plus sign; carriers send it with and without."""
    digits = text.strip()
    return f"+{digits}" if digits.isdigit() else digits


def sip_facts(attributes: Mapping[str, str]) -> SipFacts:
    """The facts that admission needs."""
    account = next((attributes[name] for name in _CARRIER_ACCOUNTS if attributes.get(name)), None)
    caller = attributes.get("sip.phoneNumber")
    return SipFacts(
        sip_call_id=attributes.get("sip.callID", "")[:200],
        trunk=attributes.get(TRUNK) or None,
        carrier_account=account,
        dialled=Sealed(normal_number(attributes.get("sip.trunkPhoneNumber", ""))),
        caller=Sealed(normal_number(caller)) if caller else None,
    )


def is_active(attributes: Mapping[str, str]) -> bool:
    """Whether the caller can hear us."""
    return attributes.get(CALL_STATUS) == ACTIVE
