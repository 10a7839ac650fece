"""livekit-sip's file, read strictly."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sip_node.__main__ import main
from sip_node.config import ConfigError, load_config, parse_config, parse_go_duration

pytestmark = pytest.mark.unit

MINIMAL = """
api_key: key
api_secret: secret
ws_url: ws://127.0.0.1:7880
redis: {address: "127.0.0.1:6379"}
"""


def test_defaults_are_livekit_sips() -> None:
    config = parse_config(MINIMAL, {})
    assert (config.sip_port, config.bound_sip_port) == (5060, 5060)
    assert config.rtp_port == (10000, 20000)
    assert (config.media_timeout_s, config.media_timeout_initial_s) == (15.0, 30.0)
    assert (config.drain_idle_s, config.drain_max_s) == (30.0, 600.0)
    assert config.ringing_interval_s == 1.0
    assert (config.redis.host, config.redis.port) == ("127.0.0.1", 6379)
    assert config.logging.json_ is True


def test_all_keys_of_a_loopback_fleet() -> None:
    text = (
        MINIMAL
        + """
sip_port: 5070
sip_port_listen: 5071
rtp_port: 18000-18100
listen_ip: 127.0.0.1
nat_1_to_1_ip: 127.0.0.1
health_port: 8080
prometheus_port: 8081
logging: {level: debug, json: false}
sip_ringing_interval: 2s
media_timeout: 1m30s
"""
    )
    config = parse_config(text, {})
    assert (config.sip_port, config.bound_sip_port) == (5070, 5071)
    assert config.rtp_port == (18000, 18100)
    assert config.ringing_interval_s == 2.0
    assert config.media_timeout_s == 90.0
    assert config.media_ip == config.signaling_ip == "127.0.0.1"


@pytest.mark.parametrize("value", ["18000-18100", "{start: 18000, end: 18100}"])
def test_port_ranges(value: str) -> None:
    assert parse_config(f"{MINIMAL}rtp_port: {value}\n", {}).rtp_port == (18000, 18100)


def test_credentials_may_come_from_the_environment() -> None:
    environ = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s", "LIVEKIT_WS_URL": "ws://h"}
    config = parse_config('redis: {address: "h:1"}', environ)
    assert (config.api_key, config.ws_url) == ("k", "ws://h")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sip_prot: 5060", "sip_prot: unknown key"),
        ("redis: {address: 'h:1', adress: x}", "redis.adress: unknown key"),
        ("logging: {level: info, sample: true}", "logging.sample: unknown key"),
        ("tls: {port: 5061}", "tls: SIP over TLS is not spoken by the node"),
        ("tcp: {dial_port: 1-2}", "tcp: SIP over TCP is not spoken by the node"),
        ("use_external_ip: true", "set `nat_1_to_1_ip` instead"),
        ("rtp_port: 18000", "is not a port range; write it like 18000-18100"),
        ("rtp_port: 18100-18000", "end 18000 must be greater than start 18100"),
        ("media_timeout: 5 parsecs", "is not a duration; write it like 500ms"),
        ("sip_port: 70000", "sip_port:"),
        ("listen_ip: nowhere", "nowhere"),
        ("ws_url: ftp://x", "ws_url:"),
        ("- a list", "not YAML"),
    ],
)
def test_mistakes_are_named(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"{MINIMAL}{line}\n", {})
    assert message in str(caught.value)


def test_every_missing_key_is_listed_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("sip_port: 5060", {})
    for key in ("api_key", "api_secret", "ws_url", "redis"):
        assert f"{key}: missing" in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words"])
def test_no_mapping(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a mapping"):
        parse_config(text, {})


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("1m30s", 90), ("1h", 3600), ("-1s", -1), ("0", 0), ("1.5s", 1.5)]
)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_go_duration(text) == timedelta(seconds=seconds)


def test_program_refuses_a_wrong_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sip.yaml"
    path.write_text(f"{MINIMAL}sip_prot: 1\n")
    monkeypatch.setattr(sys, "argv", ["sip_node", "--config", str(path)])
    assert main() == 2
    assert "sip_prot: unknown key" in capsys.readouterr().err
