"""CreateSIPParticipant's request as what an outbound call needs: who is called, where the packets go, limits."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from livekit.protocol import sip as sip_proto

from sip_node.dispatch import (
    DEFAULT_RINGING_S,
    MAX_CALL_S,
    Dispatch,
    DispatchResult,
    media_policy,
    seconds,
)
from sip_node.psrpc.server import ServiceError
from sip_node.sip.message import Address, Uri, parse_sip_uri
from sip_node.sip.outbound_dialog import Dialled
from sip_node.sip.sdp import MediaPolicy

_TRANSPORTS: Final = {1: "udp", 2: "tcp", 3: "tls"}
_UNSAFE: Final = re.compile(r"[\r\n<>\"]")


@dataclass(frozen=True)
class OutboundRequest:
    """What is asked for. `place` is the room and who the participant is there, with its attributes."""

    call_id: str
    trunk_id: str
    uri: str
    own: str
    remote: str
    host: str
    port: int
    place: Dispatch
    username: str = ""
    password: str = field(default="", repr=False)
    dtmf: str = ""
    dialtone: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)

    def dialled(self, destination: Address) -> Dialled:
        return Dialled(self.uri, self.own, self.remote, destination, self.username, self.password)


def read_request(message: Any, own_host: str) -> OutboundRequest:
    """Raises ServiceError that names what is wrong. `own_host` stands in From where the request names no host."""
    if not message.room_name:
        raise ServiceError("invalid_argument", "room name must be set")
    transport = message.transport
    called = message.call_to, message.address
    uri = _uri(message, "sip_request_uri", called, transport, "invalid request URI")
    remote = _uri(message, "sip_to_header", called, transport, "invalid To header")
    own = _uri(
        message, "sip_from_header", (message.number, message.hostname or own_host), transport, "invalid From header"
    )
    target = parse_sip_uri(uri)
    if target.params.get("transport", "udp").lower() != "udp":
        raise ServiceError("unimplemented", "the node speaks UDP only: TCP and TLS need livekit-sip")
    ringing, longest = seconds(message.ringing_timeout), seconds(message.max_call_duration)
    place = Dispatch(
        result=DispatchResult.ACCEPT,
        trunk_id=message.sip_trunk_id,
        room_name=message.room_name,
        identity=message.participant_identity,
        name=message.participant_name,
        metadata=message.participant_metadata,
        headers_to_attributes=dict(message.headers_to_attributes),
        attributes_to_headers=dict(message.attributes_to_headers),
        include_headers=message.include_headers,
        ringing_timeout_s=ringing if ringing > 0 else DEFAULT_RINGING_S,
        max_call_s=longest if 0 < longest <= MAX_CALL_S else MAX_CALL_S,
        media=_policy(message),
        media_timeout_s=seconds(message.media.media_timeout) if message.media.HasField("media_timeout") else 0.0,
        token=message.token,
        ws_url=message.ws_url,
    )
    return OutboundRequest(
        call_id=message.sip_call_id,
        trunk_id=message.sip_trunk_id,
        uri=uri,
        own=_named(_display_name(message), own),
        remote=_named(message.sip_to_header.display_name, remote),
        host=target.host,
        port=target.port or 5060,
        place=place,
        username=message.username,
        password=message.password,
        dtmf=message.dtmf,
        dialtone=message.play_dialtone,
        headers={name: message.headers[name] for name in sorted(message.headers)},
        wait=message.wait_until_answered,
        attributes=dict(message.participant_attributes),
    )


async def resolve(host: str, port: int) -> Address:
    """The IPv4 address of `host`. Raises ServiceError."""
    try:
        return str(ipaddress.IPv4Address(host)), port
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise ServiceError(
            "invalid_argument", f'fail to resolve target for "{host}": {type(error).__name__}'
        ) from error
    return str(found[0][4][0]), port


def _policy(message: Any) -> MediaPolicy:
    try:
        policy = media_policy(message.media)
    except ValueError as error:
        raise ServiceError("invalid_argument", str(error)) from error
    required = message.media_encryption == sip_proto.SIP_MEDIA_ENCRYPT_REQUIRE
    return MediaPolicy(policy.codecs, policy.require_encryption or required)


def _display_name(message: Any) -> str:
    if message.HasField("sip_from_header"):
        return str(message.sip_from_header.display_name)
    # Nobody chose one: the number, as callers have always been shown.
    return str(message.display_name if message.HasField("display_name") else message.number)


def _named(name: str, uri: str) -> str:
    return f'"{_UNSAFE.sub("", name)}" <{uri}>' if name else f"<{uri}>"


def _uri(message: Any, field_name: str, plain: tuple[str, str], transport: int, wrong: str) -> str:
    """The request's own URI in `field_name`, else one of `plain` (user, host or host:port)."""
    value = getattr(message, field_name)
    if not message.HasField(field_name):
        text = _plain_uri(*plain, wrong)
    elif value.HasField("raw"):
        text = value.raw.strip().removeprefix("<").removesuffix(">")
    elif value.HasField("values"):
        text = _built_uri(value.values, wrong)
        if value.values.transport and transport and value.values.transport != transport:
            raise ServiceError("invalid_argument", f"{wrong}: different transports specified")
        transport = transport or value.values.transport
    else:
        raise ServiceError("invalid_argument", f"{wrong}: invalid URI type")
    if parse_sip_uri(text) == Uri() or _UNSAFE.search(text):
        raise ServiceError("invalid_argument", f"{wrong}: not a SIP URI")
    return f"{text};transport={_TRANSPORTS[transport]}" if transport in _TRANSPORTS else text


def _plain_uri(user: str, address: str, wrong: str) -> str:
    if not user:
        raise ServiceError("invalid_argument", f"{wrong}: number must be set")
    if "@" in user:
        raise ServiceError("invalid_argument", f"{wrong}: should be a phone number or SIP user, not a full SIP URI")
    if not address:
        raise ServiceError("invalid_argument", f"{wrong}: address must be set")
    if address.startswith(("sip:", "sips:")):
        raise ServiceError("invalid_argument", f"{wrong}: address must be a hostname without 'sip:' prefix")
    if ";" in address or "=" in address:
        raise ServiceError("invalid_argument", f"{wrong}: legacy address must not contain parameters")
    return f"sip:{user}@{address}"


def _built_uri(values: Any, wrong: str) -> str:
    host = values.host or values.ip
    if not values.user:
        raise ServiceError("invalid_argument", f"{wrong}: username or number must be set")
    if not host or ":" in host:
        raise ServiceError("invalid_argument", f"{wrong}: host or ip must be set, without port")
    return f"sip:{values.user}@{host}" + (f":{values.port}" if values.port else "")
