"""SIP headers as participant attributes and back, with livekit-sip's names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from livekit.protocol import sip as sip_proto

from sip_node.sip.message import Request, Response

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


def headers_to_attributes(message: Request | Response, mapping: Mapping[str, str], include: int) -> dict[str, str]:
    """The attributes a participant gets from the far side's message: the INVITE of an inbound call, the 200 of an outbound
    one.

    `mapping` is the trunk's header name to attribute name; `include` is livekit's SIPHeaderOptions (0 none, 1 X-*,
    2 all), which come as `sip.h.<lower-case name>`.
    """
    attributes: dict[str, str] = {}
    if include != sip_proto.SIP_NO_HEADERS:
        for name, value in message.headers():
            lower = name.lower()
            if include == sip_proto.SIP_X_HEADERS and not lower.startswith("x-"):
                continue
            attributes[HEADER_PREFIX + lower] = value
    attributes.update(_present(message, {**_KNOWN, **mapping}))
    tag = message.from_tag if isinstance(message, Request) else message.to_tag
    if tag:
        attributes[CALL_TAG] = tag
    attributes[CALL_ID_FULL] = message.call_id
    return attributes


def known_attributes(response: Response) -> dict[str, str]:
    """Those a provisional answer to our INVITE carries in headers of carriers that are known."""
    return _present(response, _KNOWN)


def _present(message: Request | Response, mapping: Mapping[str, str]) -> dict[str, str]:
    return {name: values[0] for header, name in mapping.items() if (values := message.header_values(header))}


def attributes_to_headers(
    attributes: Mapping[str, str], mapping: Mapping[str, str], headers: Mapping[str, str]
) -> dict[str, str]:
    """`headers` plus those the trunk maps from attributes (attribute name to header name)."""
    mapped = {header: attributes[name] for name, header in mapping.items() if name in attributes}
    return {**headers, **mapped}


def remote_headers(message: Request | Response, include: Iterable[str], exclude: Iterable[str]) -> dict[str, str]:
    """The far side's headers for `lk.sip.GetRemoteHeaders`; both lists are names in any case, empty means no limit."""
    only, skip = {name.lower() for name in include}, {name.lower() for name in exclude}
    return {
        name: value
        for name, value in message.headers()
        if (lower := name.lower()) not in _TRANSPORT_HEADERS and lower not in skip and (not only or lower in only)
    }
