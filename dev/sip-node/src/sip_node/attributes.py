"""SIP headers as participant attributes and back, with livekit-sip's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from livekit.protocol import sip as sip_proto

from sip_node.sip.message import Request

CALL_STATUS: Final = "sip.callStatus"
CALL_ID_FULL: Final = "sip.callIDFull"
CALL_TAG: Final = "sip.callTag"
HEADER_PREFIX: Final = "sip.h."

_KNOWN: Final = {
    "X-Twilio-AccountSid": "sip.twilio.accountSid",
    "X-Twilio-CallSid": "sip.twilio.callSid",
    "X-call_leg_id": "sip.telnyx.callLegID",
    "X-call_session_id": "sip.telnyx.callSessionID",
    "X-Amzn-ConnectContactId": "sip.amazon.contactId",
    "X-Amzn-ConnectInitialContactId": "sip.amazon.initialContactId",
    "X-Amzn-SourceAccount": "sip.amazon.sourceAccount",
    "X-Amzn-SourceArn": "sip.amazon.sourceArn",
    "X-Amzn-TargetArn": "sip.amazon.targetArn",
    "X-Lk-Test-Id": "lktest.id",
}
# Left out of what `lk.sip.GetRemoteHeaders` returns.
_TRANSPORT_HEADERS: Final = frozenset(
    {"route", "record-route", "via", "supported", "accept", "allow", "allow-events", "content-type", "content-length"}
    | {"content-encoding", "content-disposition", "cseq", "event", "expires", "session-expires", "min-se"}
    | {"max-forwards"}
)


def headers_to_attributes(invite: Request, mapping: Mapping[str, str], include: int) -> dict[str, str]:
    """The attributes a participant gets from the INVITE.

    `mapping` is the trunk's header name to attribute name; `include` is livekit's SIPHeaderOptions (0 none, 1 X-*,
    2 all), which come as `sip.h.<lower-case name>`.
    """
    attributes: dict[str, str] = {}
    if include != sip_proto.SIP_NO_HEADERS:
        for name, value in invite.headers():
            lower = name.lower()
            if include == sip_proto.SIP_X_HEADERS and not lower.startswith("x-"):
                continue
            attributes[HEADER_PREFIX + lower] = value
    for header, attribute in (*_KNOWN.items(), *mapping.items()):
        if values := invite.header_values(header):
            attributes[attribute] = values[0]
    if invite.from_tag:
        attributes[CALL_TAG] = invite.from_tag
    attributes[CALL_ID_FULL] = invite.call_id
    return attributes


def attributes_to_headers(
    attributes: Mapping[str, str], mapping: Mapping[str, str], headers: Mapping[str, str]
) -> dict[str, str]:
    """`headers` plus those the trunk maps from attributes (attribute name to header name)."""
    mapped = {header: attributes[name] for name, header in mapping.items() if name in attributes}
    return {**headers, **mapped}


def remote_headers(invite: Request, include: Iterable[str], exclude: Iterable[str]) -> dict[str, str]:
    """The INVITE's headers for `lk.sip.GetRemoteHeaders`; both lists are names in any case, empty means no limit."""
    only, skip = {name.lower() for name in include}, {name.lower() for name in exclude}
    return {
        name: value
        for name, value in invite.headers()
        if (lower := name.lower()) not in _TRANSPORT_HEADERS and lower not in skip and (not only or lower in only)
    }
