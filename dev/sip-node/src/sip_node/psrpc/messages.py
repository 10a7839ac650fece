"""Protobuf messages of psrpc's envelope and of LiveKit's IOInfo and SIPInternal services, declared at import.

`livekit-protocol` ships livekit_sip and livekit_room but not the internal `rpc` package, so the messages the node sends
and reads are declared here by field number. Fields the node never uses are left out: protobuf skips what it doesn't
know. The numbers are those of livekit-server 1.13.5; the contract tests say when they change.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory
from livekit.protocol import room, sip

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int64": _Field.TYPE_INT64,
    "float": _Field.TYPE_FLOAT,
}
_ENUMS: Final = {"livekit.SIPHeaderOptions", "livekit.SIPTransport", "livekit.SIPMediaEncryption"}

# message -> field -> (number, type); `*` repeats a type, `?` makes its presence visible, `map` is map<string, string>.
_INTERNAL: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "Msg": {"type_url": (1, "string"), "value": (2, "bytes"), "channel": (3, "string")},
    "Request": {
        "request_id": (1, "string"),
        "client_id": (2, "string"),
        "sent_at": (3, "int64"),
        "expiry": (4, "int64"),
        "multi": (5, "bool"),
        "metadata": (7, "map"),
        "raw_request": (8, "bytes"),
    },
    "Response": {
        "request_id": (1, "string"),
        "server_id": (2, "string"),
        "sent_at": (3, "int64"),
        "error": (5, "string"),
        "code": (6, "string"),
        "raw_response": (7, "bytes"),
        "error_details": (8, "*google.protobuf.Any"),
    },
    "ClaimRequest": {"request_id": (1, "string"), "server_id": (2, "string"), "affinity": (3, "float")},
    "ClaimResponse": {"request_id": (1, "string"), "server_id": (2, "string")},
}

_RPC: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "SIPCall": {
        "lk_call_id": (1, "string"),
        "source_ip": (2, "string"),
        "address": (3, "livekit.SIPUri"),
        "from": (4, "livekit.SIPUri"),
        "to": (5, "livekit.SIPUri"),
        "via": (6, "*livekit.SIPUri"),
        "sip_call_id": (7, "string"),
    },
    "GetSIPTrunkAuthenticationRequest": {
        "from": (2, "string"),
        "to": (3, "string"),
        "src_address": (4, "string"),
        "to_host": (5, "string"),
        "sip_call_id": (6, "string"),
        "from_host": (7, "string"),
        "call": (8, "rpc.SIPCall"),
    },
    "GetSIPTrunkAuthenticationResponse": {
        "username": (1, "string"),
        "password": (2, "string"),
        "drop": (3, "bool"),
        "sip_trunk_id": (4, "string"),
        "error_code": (7, "int64"),
        "realm": (9, "string"),
    },
    "EvaluateSIPDispatchRulesRequest": {
        "calling_number": (2, "string"),
        "called_number": (3, "string"),
        "src_address": (4, "string"),
        "pin": (5, "string"),
        "no_pin": (6, "bool"),
        "called_host": (7, "string"),
        "sip_call_id": (8, "string"),
        "extra_attributes": (9, "map"),
        "sip_trunk_id": (10, "string"),
        "calling_host": (11, "string"),
        "call": (12, "rpc.SIPCall"),
    },
    "EvaluateSIPDispatchRulesResponse": {
        "room_name": (1, "string"),
        "participant_identity": (2, "string"),
        "request_pin": (3, "bool"),
        "token": (4, "string"),
        "ws_url": (5, "string"),
        "result": (6, "int64"),
        "participant_name": (7, "string"),
        "participant_metadata": (8, "string"),
        "sip_trunk_id": (9, "string"),
        "sip_dispatch_rule_id": (10, "string"),
        "participant_attributes": (11, "map"),
        "headers": (13, "map"),
        "headers_to_attributes": (14, "map"),
        "ringing_timeout": (16, "google.protobuf.Duration"),
        "max_call_duration": (17, "google.protobuf.Duration"),
        "attributes_to_headers": (18, "map"),
        "include_headers": (19, "livekit.SIPHeaderOptions"),
        "room_preset": (20, "string"),
        "room_config": (21, "livekit.RoomConfiguration"),
        "media": (24, "livekit.SIPMediaConfig"),
    },
    "UpdateSIPCallStateRequest": {"call_info": (1, "livekit.SIPCallInfo")},
    "InternalCreateSIPParticipantRequest": {
        "address": (2, "string"),
        "number": (3, "string"),
        "call_to": (4, "string"),
        "username": (5, "string"),
        "password": (6, "string"),
        "room_name": (7, "string"),
        "participant_identity": (8, "string"),
        "token": (9, "string"),
        "ws_url": (10, "string"),
        "dtmf": (11, "string"),
        "play_dialtone": (12, "bool"),
        "sip_call_id": (13, "string"),
        "participant_name": (14, "string"),
        "participant_metadata": (15, "string"),
        "transport": (16, "livekit.SIPTransport"),
        "participant_attributes": (17, "map"),
        "sip_trunk_id": (19, "string"),
        "hostname": (20, "string"),
        "headers": (21, "map"),
        "headers_to_attributes": (22, "map"),
        "ringing_timeout": (23, "google.protobuf.Duration"),
        "max_call_duration": (24, "google.protobuf.Duration"),
        "attributes_to_headers": (26, "map"),
        "include_headers": (27, "livekit.SIPHeaderOptions"),
        "media_encryption": (28, "livekit.SIPMediaEncryption"),
        "wait_until_answered": (29, "bool"),
        "display_name": (31, "?string"),
        "media": (34, "livekit.SIPMediaConfig"),
        "sip_request_uri": (35, "livekit.SIPRequestDest"),
        "sip_from_header": (36, "livekit.SIPNamedDest"),
        "sip_to_header": (37, "livekit.SIPNamedDest"),
    },
    "InternalCreateSIPParticipantResponse": {
        "participant_id": (1, "string"),
        "participant_identity": (2, "string"),
        "sip_call_id": (3, "string"),
    },
    "InternalTransferSIPParticipantRequest": {
        "sip_call_id": (1, "string"),
        "transfer_to": (2, "string"),
        "play_dialtone": (3, "bool"),
        "headers": (4, "map"),
        "ringing_timeout": (5, "google.protobuf.Duration"),
    },
}


def _add_field(message: descriptor_pb2.DescriptorProto, package: str, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if kind.startswith("?"):
        # What the compiler makes of `optional` in proto3: a oneof of its own with this one member.
        field.proto3_optional, field.oneof_index, kind = True, len(message.oneof_decl), kind[1:]
        message.oneof_decl.add(name=f"_{name}")
    elif kind.startswith("*"):
        field.label, kind = _Field.LABEL_REPEATED, kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    elif kind == "map":
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
        entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
        field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
        field.type_name = f".{package}.{message.name}.{entry_name}"
    else:
        field.type = _Field.TYPE_ENUM if kind in _ENUMS else _Field.TYPE_MESSAGE
        field.type_name = f".{kind}"


def _declare(file_name: str, package: str, table: dict[str, dict[str, tuple[int, str]]]) -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package=package, syntax="proto3")
    imports = (any_pb2,) if package == "internal" else (sip, room, duration_pb2)
    file.dependency.extend(module.DESCRIPTOR.name for module in imports)
    for message_name, fields in table.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            _add_field(message, package, name, number, kind)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in table}


_internal = _declare("sip_node/psrpc_internal.proto", "internal", _INTERNAL)
_rpc = _declare("sip_node/rpc_io.proto", "rpc", _RPC)

Msg: Any = _internal["Msg"]
Request: Any = _internal["Request"]
Response: Any = _internal["Response"]
ClaimRequest: Any = _internal["ClaimRequest"]
ClaimResponse: Any = _internal["ClaimResponse"]

SIPCall: Any = _rpc["SIPCall"]
GetSIPTrunkAuthenticationRequest: Any = _rpc["GetSIPTrunkAuthenticationRequest"]
GetSIPTrunkAuthenticationResponse: Any = _rpc["GetSIPTrunkAuthenticationResponse"]
CreateSIPParticipantRequest: Any = _rpc["InternalCreateSIPParticipantRequest"]
CreateSIPParticipantResponse: Any = _rpc["InternalCreateSIPParticipantResponse"]
TransferSIPParticipantRequest: Any = _rpc["InternalTransferSIPParticipantRequest"]
EvaluateSIPDispatchRulesRequest: Any = _rpc["EvaluateSIPDispatchRulesRequest"]
EvaluateSIPDispatchRulesResponse: Any = _rpc["EvaluateSIPDispatchRulesResponse"]
UpdateSIPCallStateRequest: Any = _rpc["UpdateSIPCallStateRequest"]

AUTH_QUOTA_EXCEEDED: Final = 1
AUTH_NO_TRUNK_FOUND: Final = 2

RESULT_LEGACY: Final = 0
RESULT_ACCEPT: Final = 1
RESULT_REQUEST_PIN: Final = 2
RESULT_REJECT: Final = 3
RESULT_DROP: Final = 4

_TYPE_PREFIX: Final = "type.googleapis.com/internal."


def seal(message: Any) -> bytes:
    """`message` (one of the internal types) as the bytes psrpc publishes."""
    return bytes(
        Msg(type_url=_TYPE_PREFIX + message.DESCRIPTOR.name, value=message.SerializeToString()).SerializeToString()
    )


def unseal(data: bytes) -> Any:
    """The internal message in a published payload. Raises ValueError when it is none."""
    try:
        envelope = Msg.FromString(data)
        kind = _internal[envelope.type_url.removeprefix(_TYPE_PREFIX)]
        return kind.FromString(envelope.value)
    except Exception as error:
        raise ValueError("not a psrpc message") from error
