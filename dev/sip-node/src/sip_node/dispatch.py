"""What LiveKit decides about a call: trunk authentication and dispatch rule, asked over psrpc."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from livekit.protocol import sip as sip_proto

from sip_node.psrpc import messages
from sip_node.psrpc.client import RpcClient
from sip_node.sip.message import Request, Uri, parse_sip_uri
from sip_node.sip.sdp import PCMA, PCMU, MediaPolicy

DEFAULT_RINGING_S: Final = 180.0
MAX_CALL_S: Final = 24 * 3600.0
_TRANSPORTS: Final = {"udp": 1, "tcp": 2, "tls": 3}


class AuthResult(Enum):
    ACCEPT = "accept"
    PASSWORD = "password"  # noqa: S105 - the name of a result
    DROP = "drop"
    QUOTA_EXCEEDED = "quota_exceeded"
    NO_TRUNK_FOUND = "no_trunk_found"


@dataclass(frozen=True)
class Auth:
    """`trunk_id` is "" when no trunk matched, which LiveKit treats as accepted."""

    result: AuthResult
    trunk_id: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    realm: str = ""


class DispatchResult(Enum):
    ACCEPT = "accept"
    REQUEST_PIN = "request_pin"
    REJECT = "reject"
    DROP = "drop"


@dataclass(frozen=True)
class Dispatch:
    """Where an accepted call goes. Durations in seconds; `room_config` is livekit's RoomConfiguration or None."""

    result: DispatchResult
    trunk_id: str = ""
    rule_id: str = ""
    room_name: str = ""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_to_attributes: Mapping[str, str] = field(default_factory=dict)
    attributes_to_headers: Mapping[str, str] = field(default_factory=dict)
    include_headers: int = 0
    ringing_timeout_s: float = DEFAULT_RINGING_S
    max_call_s: float = MAX_CALL_S
    media: MediaPolicy = field(default_factory=MediaPolicy)
    media_timeout_s: float = 0.0
    token: str = field(default="", repr=False)
    ws_url: str = ""
    room_preset: str = ""
    room_config: Any = None


def sip_call(invite: Request, call_id: str) -> Any:
    """The rpc.SIPCall that describes an INVITE."""
    call = messages.SIPCall(lk_call_id=call_id, source_ip=invite.source[0], sip_call_id=invite.call_id)
    call.address.CopyFrom(_proto_uri(parse_sip_uri(invite.uri)))
    getattr(call, "from").CopyFrom(_proto_uri(invite.from_uri))
    call.to.CopyFrom(_proto_uri(invite.to_uri))
    for via in invite.vias:
        call.via.add(host=via.host, port=via.port, transport=_TRANSPORTS.get(via.transport.lower(), 0))
    return call


async def authenticate(rpc: RpcClient, call: Any) -> Auth:
    """Which trunk the call belongs to and what it must prove. Raises RpcError."""
    caller, called = getattr(call, "from"), call.to
    request = messages.GetSIPTrunkAuthenticationRequest(
        call=call,
        sip_call_id=call.lk_call_id,
        from_host=caller.host,
        to=called.user,
        to_host=called.host,
        src_address=call.source_ip,
        **{"from": caller.user},
    )
    reply = await rpc.request("GetSIPTrunkAuthentication", request, messages.GetSIPTrunkAuthenticationResponse)
    if reply.error_code == messages.AUTH_QUOTA_EXCEEDED:
        return Auth(AuthResult.QUOTA_EXCEEDED)
    if reply.error_code == messages.AUTH_NO_TRUNK_FOUND:
        return Auth(AuthResult.NO_TRUNK_FOUND)
    if reply.drop:
        return Auth(AuthResult.DROP)
    if reply.username and reply.password:
        return Auth(AuthResult.PASSWORD, reply.sip_trunk_id, reply.username, reply.password, reply.realm)
    return Auth(AuthResult.ACCEPT, reply.sip_trunk_id)


async def evaluate(rpc: RpcClient, call: Any, trunk_id: str) -> Dispatch:
    """Which room the call goes to. Raises RpcError, and ValueError when the media settings can't be honoured."""
    caller, called = getattr(call, "from"), call.to
    request = messages.EvaluateSIPDispatchRulesRequest(
        call=call,
        sip_trunk_id=trunk_id,
        sip_call_id=call.lk_call_id,
        calling_number=caller.user,
        calling_host=caller.host,
        called_number=called.user,
        called_host=called.host,
        src_address=call.source_ip,
    )
    reply = await rpc.request("EvaluateSIPDispatchRules", request, messages.EvaluateSIPDispatchRulesResponse)
    result = _result(reply)
    if result is not DispatchResult.ACCEPT:
        return Dispatch(result, reply.sip_trunk_id, reply.sip_dispatch_rule_id)
    ringing, longest = seconds(reply.ringing_timeout), seconds(reply.max_call_duration)
    return Dispatch(
        result=result,
        trunk_id=reply.sip_trunk_id,
        rule_id=reply.sip_dispatch_rule_id,
        room_name=reply.room_name,
        identity=reply.participant_identity,
        name=reply.participant_name,
        metadata=reply.participant_metadata,
        attributes=dict(reply.participant_attributes),
        headers=dict(reply.headers),
        headers_to_attributes=dict(reply.headers_to_attributes),
        attributes_to_headers=dict(reply.attributes_to_headers),
        include_headers=reply.include_headers,
        ringing_timeout_s=ringing if ringing > 0 else DEFAULT_RINGING_S,
        max_call_s=longest if 0 < longest <= MAX_CALL_S else MAX_CALL_S,
        media=media_policy(reply.media),
        media_timeout_s=seconds(reply.media.media_timeout) if reply.media.HasField("media_timeout") else 0.0,
        token=reply.token,
        ws_url=reply.ws_url,
        room_preset=reply.room_preset,
        room_config=reply.room_config if reply.HasField("room_config") else None,
    )


def _result(reply: Any) -> DispatchResult:
    if reply.result == messages.RESULT_LEGACY:
        return DispatchResult.REQUEST_PIN if reply.request_pin else DispatchResult.ACCEPT
    return {
        messages.RESULT_ACCEPT: DispatchResult.ACCEPT,
        messages.RESULT_REQUEST_PIN: DispatchResult.REQUEST_PIN,
        messages.RESULT_DROP: DispatchResult.DROP,
    }.get(reply.result, DispatchResult.REJECT)


def media_policy(media: Any) -> MediaPolicy:
    """What SIPMediaConfig allows of what the node speaks. Raises ValueError when that is contradictory."""
    codecs = set() if media.only_listed_codecs else {PCMU, PCMA}
    if media.only_listed_codecs and not media.codecs:
        raise ValueError("the trunk allows listed codecs only and lists none")
    for codec in media.codecs:
        if (name := f"{codec.name.upper()}/{codec.rate or 8000}") in (PCMU, PCMA):
            codecs.add(name)
    required = media.encryption == sip_proto.SIP_MEDIA_ENCRYPT_REQUIRE
    return MediaPolicy(frozenset(codecs), required)


def seconds(duration: Any) -> float:
    """A protobuf Duration."""
    return float(duration.seconds + duration.nanos / 1e9)


def _proto_uri(uri: Uri) -> Any:
    transport = _TRANSPORTS.get(uri.params.get("transport", "").lower(), 0)
    return sip_proto.SIPUri(user=uri.user, host=uri.host, port=uri.port, transport=transport)  # type: ignore[arg-type]
