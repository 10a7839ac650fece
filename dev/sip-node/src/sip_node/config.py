"""The YAML file of livekit-sip, read by the node that stands in its place.

One file starts either program, so every key here is livekit-sip's own. A key that livekit-sip knows and the node can't
honour is refused with the reason; an unknown key is refused by name (livekit-sip itself ignores unknown keys).
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

_UNSUPPORTED = {
    "tls": "SIP over TLS is not spoken by the node; remove `tls` or run livekit-sip (LIVEKIT_SIP_BIN)",
    "tcp": "SIP over TCP is not spoken by the node; remove `tcp` or run livekit-sip (LIVEKIT_SIP_BIN)",
    "use_external_ip": "the node asks no STUN server; set `nat_1_to_1_ip` instead",
    "media_use_external_ip": "the node asks no STUN server; set `media_nat_1_to_1_ip` instead",
    "outbound_route_headers": "calls go straight to the trunk's address; remove `outbound_route_headers`",
    "pprof_port": "pprof belongs to Go programs; remove `pprof_port`",
    "jaeger_url": "the node sends no traces; remove `jaeger_url`",
    "audio_dtmf": "the node makes no audible DTMF; remove `audio_dtmf`",
    "sip_hostname": "a host name is only used with TLS, which the node does not speak; remove `sip_hostname`",
}
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigError(ValueError):
    """The file can't be used; the message lists every wrong key with the fix, one per line."""


def parse_go_duration(value: object) -> timedelta:
    """`"1m30s"` as Go writes durations, as livekit-sip's file has them. Raises ValueError on anything else."""
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if text == "0":
        return timedelta(0)
    sign = -1 if text.startswith("-") else 1
    body = text.lstrip("+-")
    parts = _GO_DURATION.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"{text!r} is not a duration; write it like 500ms, 2s or 1m30s")
    return sign * timedelta(seconds=sum(float(number) * _GO_UNITS[unit] for number, unit in parts))


def _parse_ports(value: object) -> object:
    if isinstance(value, Mapping) and set(value) <= {"start", "end"}:
        return (value.get("start"), value.get("end"))
    if isinstance(value, (tuple, list)):
        return tuple(value)
    first, dash, last = str(value).partition("-")
    if not dash or not first.strip().isdigit() or not last.strip().isdigit():
        raise ValueError(f"{value!r} is not a port range; write it like 18000-18100")
    return (int(first), int(last))


Duration = Annotated[timedelta, BeforeValidator(parse_go_duration)]
Port = Annotated[int, Field(ge=0, le=65535)]
PortRange = Annotated[tuple[Port, Port], BeforeValidator(_parse_ports)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RedisConfig(_Strict):
    """Where LiveKit's bus is; `address` is host:port."""

    address: str = Field(min_length=1)
    username: str = ""
    password: SecretStr = SecretStr("")
    db: int = 0

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0] or self.address

    @property
    def port(self) -> int:
        _, colon, port = self.address.rpartition(":")
        return int(port) if colon else 6379


class LoggingConfig(_Strict):
    json_: bool = Field(default=True, alias="json")
    level: Literal["debug", "info", "warn", "error"] = "info"


class NodeConfig(_Strict):
    """Every key the node honours; names and defaults are livekit-sip's."""

    api_key: str = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)
    ws_url: str = Field(pattern=r"^(ws|wss|http|https)://")
    redis: RedisConfig
    sip_port: Port = 5060
    sip_port_listen: Port = 0
    rtp_port: PortRange = (10000, 20000)
    listen_ip: str = "0.0.0.0"  # noqa: S104 - livekit-sip's default; the loopback fleet sets 127.0.0.1
    nat_1_to_1_ip: str = ""
    media_nat_1_to_1_ip: str = ""
    local_net: str = ""
    health_port: Port = 0
    prometheus_port: Port = 0
    logging: LoggingConfig = LoggingConfig()
    cluster_id: str = ""
    sip_ringing_interval: Duration = timedelta(seconds=1)
    media_timeout: Duration = timedelta(0)
    media_timeout_initial: Duration = timedelta(0)
    rtp_draining_idle_timeout: Duration = timedelta(0)
    rtp_draining_duration: Duration = timedelta(0)
    max_active_calls: int = Field(default=0, ge=0)
    max_cpu_utilization: float = 0.9
    hide_inbound_port: bool = False
    add_record_route: bool = False
    disable_rejected_invite_cache: bool = False
    symmetric_rtp: bool = False
    ignore_local_addr_in_sdp: bool = False
    enable_jitter_buffer: bool = False
    codecs: dict[str, bool] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_the_node_lacks(cls, data: Any) -> Any:
        reasons = [f"{key}: {_UNSUPPORTED[key]}" for key in data if key in _UNSUPPORTED and data[key]]
        if reasons:
            raise ValueError("\n".join(reasons))
        return {key: value for key, value in data.items() if key not in _UNSUPPORTED}

    @model_validator(mode="after")
    def _check_ranges(self) -> NodeConfig:
        first, last = self.rtp_port
        if last <= first:
            raise ValueError(f"rtp_port: end {last} must be greater than start {first}")
        for key in ("listen_ip", "nat_1_to_1_ip", "media_nat_1_to_1_ip"):
            if text := getattr(self, key):
                ipaddress.IPv4Address(text)
        return self

    @property
    def bound_sip_port(self) -> int:
        """The port the socket is bound to; `sip_port` is what is announced."""
        return self.sip_port_listen or self.sip_port

    @property
    def signaling_ip(self) -> str:
        """The address announced in Contact and Via."""
        if self.nat_1_to_1_ip:
            return self.nat_1_to_1_ip
        return self.listen_ip if self.listen_ip != "0.0.0.0" else "127.0.0.1"  # noqa: S104

    @property
    def media_ip(self) -> str:
        """The address announced in SDP."""
        return self.media_nat_1_to_1_ip or self.signaling_ip

    @property
    def ringing_interval_s(self) -> float:
        """Seconds between copies of 180; livekit-sip falls back to 1 s outside 1 to 60 s."""
        seconds = self.sip_ringing_interval.total_seconds()
        return seconds if 1.0 <= seconds <= 60.0 else 1.0

    @property
    def media_timeout_s(self) -> float:
        """Seconds without RTP after the first packet until the call is dropped."""
        return self.media_timeout.total_seconds() if self.media_timeout > timedelta(0) else 15.0

    @property
    def media_timeout_initial_s(self) -> float:
        """Seconds an answered call may stay without its first RTP packet."""
        return self.media_timeout_initial.total_seconds() if self.media_timeout_initial > timedelta(0) else 30.0

    @property
    def drain_idle_s(self) -> float:
        """Seconds a closed call's RTP port is kept bound after the last late packet; 0 frees it at once."""
        seconds = self.rtp_draining_idle_timeout.total_seconds()
        return 30.0 if seconds == 0 else max(seconds, 0.0)

    @property
    def drain_max_s(self) -> float:
        """Longest time a closed call's RTP port stays bound, whatever still arrives."""
        seconds = self.rtp_draining_duration.total_seconds()
        return 600.0 if seconds == 0 else max(seconds, 0.0)


def _describe(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key; livekit-sip has no such setting, remove it or correct its name")
        elif item["type"] == "missing":
            lines.append(f"{where}: missing; set it in the file")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {message}" if where else message)
    return "\n".join(lines)


def parse_config(text: str, environ: Mapping[str, str]) -> NodeConfig:
    """The configuration in `text` (YAML), with LIVEKIT_API_KEY, LIVEKIT_API_SECRET and LIVEKIT_WS_URL as defaults.

    Raises ConfigError naming every missing, wrong or unknown key.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError("the file must be a mapping of livekit-sip keys, for example `sip_port: 5060`")
    for key in ("api_key", "api_secret", "ws_url"):
        if value := environ.get(f"LIVEKIT_{key.upper()}"):
            data.setdefault(key, value)
    try:
        return NodeConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_describe(error)) from error


def load_config(path: Path) -> NodeConfig:
    """`parse_config` of a file. Raises ConfigError, also when the file can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    return parse_config(text, os.environ)
