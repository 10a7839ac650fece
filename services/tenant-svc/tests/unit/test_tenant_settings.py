from __future__ import annotations

import base64

import pytest
from switchboard.settings import SettingsError, load
from tenant_svc.settings import Settings

pytestmark = pytest.mark.unit

COMPLETE = {
    "SWITCHBOARD_HTTP__PORT": "8000",
    "SWITCHBOARD_DATABASE__DSN": "postgresql://tenant_svc:x@127.0.0.1:5432/switchboard",
    "SWITCHBOARD_NATS__URL": "nats://127.0.0.1:4222",
    "SWITCHBOARD_NATS__USER": "tenant-svc",
    "SWITCHBOARD_NATS__PASSWORD": "x",
    "SWITCHBOARD_SEALING__MASTER_KEY": base64.b64encode(bytes(32)).decode(),
    "SWITCHBOARD_LIVEKIT__URL": "ws://127.0.0.1:7880",
    "SWITCHBOARD_LIVEKIT__API_KEY": "key",
    "SWITCHBOARD_LIVEKIT__API_SECRET": "secret",
    "SWITCHBOARD_BLOBS__URL": "file:///var/lib/switchboard/blobs",
    "SWITCHBOARD_PLATFORM__CARRIER_ADDRESSES": '["127.0.0.1/32", "54.172.60.0/30"]',
    "SWITCHBOARD_OPERATORS__TOKEN": "a token of 24 characters",
    "SWITCHBOARD_CONSOLE__URL": "https://console.clinic.example",
    "SWITCHBOARD_MAIL__URL": "smtp://mail.clinic.example",
    "SWITCHBOARD_MAIL__SENDER": "switchboard@clinic.example",
}


def test_the_environment_that_a_fleet_gives() -> None:
    settings = load(Settings, COMPLETE)
    assert [str(network) for network in settings.platform.carriers] == ["127.0.0.1/32", "54.172.60.0/30"]
    assert settings.reconciler.agent_name == "receptionist"


def test_it_knows_the_names_and_kinds_of_providers_and_takes_no_key() -> None:
    assert load(Settings, COMPLETE).providers.kinds == {}
    kinds = load(Settings, {**COMPLETE, "SWITCHBOARD_PROVIDERS__KINDS": '{"openai-main": "openai"}'}).providers.kinds
    assert kinds == {"openai-main": "openai"}

    endpoints = '{"openai-main": {"kind": "openai", "base_url": "https://x.example", "api_key": "hunter2"}}'
    with pytest.raises(SettingsError, match="SWITCHBOARD_PROVIDERS__ENDPOINTS is not a setting") as refused:
        load(Settings, {**COMPLETE, "SWITCHBOARD_PROVIDERS__ENDPOINTS": endpoints})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "addresses",
    ['["0.0.0.0/0"]', '["::/0"]', '["sip.carrier.example"]', '["10.0.0.1/8"]', "[]", "127.0.0.1/32", '["0.0.0.0/00"]'],
)
def test_carriers_are_addresses_and_not_everybody(addresses: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(Settings, {**COMPLETE, "SWITCHBOARD_PLATFORM__CARRIER_ADDRESSES": addresses})
    assert all("SWITCHBOARD_PLATFORM__CARRIER_ADDRESSES" in problem for problem in refused.value.problems)


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load(Settings, {})
    named = {problem.split(" ")[0] for problem in refused.value.problems}
    assert named == set(COMPLETE)


def test_the_operators_token_is_long_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load(Settings, {**COMPLETE, "SWITCHBOARD_OPERATORS__TOKEN": "hunter2"})
    assert "hunter2" not in str(refused.value)
