"""SDP offers and answers for G.711, with livekit-sip's choices: PCMU before PCMA, ptime 20, always sendrecv."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from aiosipua.sdp import MediaDescription, SdpMessage, parse_sdp

from sip_node.sip.message import Address

PCMU: Final = "PCMU/8000"
PCMA: Final = "PCMA/8000"
TELEPHONE_EVENT: Final = "telephone-event/8000"
_STATIC: Final = {0: PCMU, 8: PCMA}
_EVENT_TYPE: Final = 101
_PRIORITY: Final = {PCMU: 2, PCMA: 1}
_ODD_LINE: Final = re.compile(r"b=|a=fmtp:(?!\d{1,3} )|a=rtpmap:(?!\d{1,3} [^/\s]+/\d+(/\d+)?\s*$)")


class SdpError(ValueError):
    """The offer can't be answered. `code` is the SIP status livekit-sip answers with."""

    def __init__(self, message: str, code: int = 400) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Offer:
    """What the caller offered, and what of it is taken."""

    remote: Address
    codec: str
    payload_type: int
    dtmf_type: int | None
    session_id: int


@dataclass(frozen=True)
class MediaPolicy:
    """From the trunk and the rule: which codecs may be used and whether encryption is demanded."""

    codecs: frozenset[str] = frozenset((PCMU, PCMA))
    require_encryption: bool = False


def parse_offer(body: bytes, policy: MediaPolicy) -> Offer:
    """Raises SdpError: 400 as livekit-sip for no or broken SDP, no audio or no common codec; 488 for SRTP, which
    livekit-sip speaks and the node does not."""
    if not body:
        raise SdpError("no SDP offer in the INVITE")
    session = _parse(body)
    audio = session.audio
    if audio is None:
        raise SdpError("no audio in the offer")
    remote = _destination(session, audio)
    if audio.proto.upper() not in ("RTP/AVP", "RTP/AVPF"):
        raise SdpError(f"{audio.proto} is not supported by the node: SRTP needs livekit-sip", 488)
    if policy.require_encryption:
        raise SdpError("the trunk or rule demands encryption and the offer has none")
    codec, payload_type, dtmf_type = _select(audio, policy)
    session_id = session.origin.session_id
    return Offer(remote, codec, payload_type, dtmf_type, int(session_id) if str(session_id).isdigit() else 0)


def build_offer(policy: MediaPolicy, ip: str, port: int, session_id: int) -> bytes:
    """Our offer for an outbound call. Raises SdpError when `policy` leaves nothing the node speaks."""
    if policy.require_encryption:
        raise SdpError("the trunk or the call demands encryption: SRTP needs livekit-sip", 488)
    formats = [(number, name) for number, name in _STATIC.items() if name in policy.codecs]
    if not formats:
        raise SdpError("no codec the node speaks is allowed")
    lines = [f"a=rtpmap:{number} {name}" for number, name in (*formats, (_EVENT_TYPE, TELEPHONE_EVENT))]
    numbers = [*(number for number, _ in formats), _EVENT_TYPE]
    return _description(session_id, session_id, ip, port, numbers, [*lines, f"a=fmtp:{_EVENT_TYPE} 0-16"])


def parse_answer(body: bytes, policy: MediaPolicy, session_id: int) -> Offer:
    """What the far side took of our offer. Raises SdpError with livekit-sip's words."""
    if not body:
        raise SdpError("no audio in sdp")
    session = _parse(body)
    audio = session.audio
    if audio is None:
        raise SdpError("no audio in sdp")
    remote = _destination(session, audio)
    if audio.proto.upper() not in ("RTP/AVP", "RTP/AVPF"):
        raise SdpError(f"{audio.proto} was not offered: SRTP needs livekit-sip", 488)
    codec, payload_type, dtmf_type = _select(audio, policy)
    return Offer(remote, codec, payload_type, dtmf_type, session_id)


def parse_remote(body: bytes) -> Address | None:
    """Where a re-INVITE wants its audio; None when it doesn't say, or says 0.0.0.0 (hold): nothing changes then."""
    if not body:
        return None
    try:
        session = _parse(body)
        if session.audio is None:
            return None
        remote = _destination(session, session.audio)
    except SdpError:
        return None
    return None if ipaddress.ip_address(remote[0]).is_unspecified else remote


def build_answer(offer: Offer, ip: str, port: int) -> bytes:
    """The answer for `offer` with our RTP address."""
    formats, lines = [offer.payload_type], [f"a=rtpmap:{offer.payload_type} {offer.codec}"]
    if offer.dtmf_type is not None:
        formats.append(offer.dtmf_type)
        lines += [f"a=rtpmap:{offer.dtmf_type} {TELEPHONE_EVENT}", f"a=fmtp:{offer.dtmf_type} 0-16"]
    return _description(offer.session_id, (offer.session_id + 2) % 2**64, ip, port, formats, lines)


def _description(session_id: int, version: int, ip: str, port: int, formats: list[int], lines: list[str]) -> bytes:
    head = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 {ip}",
        "s=LiveKit",
        f"c=IN IP4 {ip}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, formats))}",
    ]
    return ("\r\n".join([*head, *lines, "a=ptime:20", "a=sendrecv"]) + "\r\n").encode()


def _parse(body: bytes) -> SdpMessage:
    text = body.decode("utf-8", "replace")
    if not text.startswith("v=0"):
        raise SdpError("the body is not SDP")
    # aiosipua gives up on the whole description for one odd line that livekit-sip skips.
    lines = [line for line in text.splitlines() if not _ODD_LINE.match(line)]
    try:
        return parse_sdp("\r\n".join(lines))
    except (ValueError, TypeError, IndexError) as error:
        raise SdpError(f"unreadable SDP: {type(error).__name__}") from error


def _destination(session: SdpMessage, audio: MediaDescription) -> Address:
    connection = audio.connection or session.connection
    # Without any c= line livekit-sip takes the address of the o= line.
    text = connection.address if connection is not None else session.origin.address
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError as error:
        raise SdpError("the connection address is not IPv4") from error
    if not 0 < audio.port <= 65535:
        raise SdpError("no audio port in the offer")
    return (str(address), audio.port)


def _select(audio: MediaDescription, policy: MediaPolicy) -> tuple[str, int, int | None]:
    dtmf_type: int | None = None
    offered: list[tuple[int, str]] = []
    for text in audio.attributes.get("rtpmap", []):
        number, _, name = text.partition(" ")
        name = name.strip().removesuffix("/1")
        if not number.isdigit() or int(number) > 127:
            continue
        if name == TELEPHONE_EVENT:
            dtmf_type = int(number)
        elif name.upper() in _PRIORITY:
            offered.append((int(number), name.upper()))
    offered += [(int(text), _STATIC[int(text)]) for text in audio.formats if text.isdigit() and int(text) in _STATIC]
    usable = [(number, name) for number, name in offered if name in policy.codecs]
    if not usable:
        raise SdpError("common audio codec not found")
    # max() keeps the first of equals: an rtpmap line wins over the static number.
    payload_type, codec = max(usable, key=lambda item: _PRIORITY[item[1]])
    return codec, payload_type, dtmf_type
