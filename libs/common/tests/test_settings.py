from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, SecretStr
from switchboard.settings import (
    BlobSettings,
    DatabaseSettings,
    Fragment,
    LiveKitSettings,
    NatsSettings,
    ProviderKinds,
    ProviderSettings,
    RedisSettings,
    SealingSettings,
    ServiceSettings,
    SettingsError,
    load,
    load_or_exit,
    variable,
)

pytestmark = pytest.mark.unit

KEY = base64.b64encode(bytes(range(32))).decode()
GOOD = {
    "SWITCHBOARD_HTTP__PORT": "8000",
    "SWITCHBOARD_DATABASE__DSN": "postgresql://svc:hunter2@db:5432/switchboard",
    "SWITCHBOARD_NATS__URL": "nats://127.0.0.1:4222",
    "SWITCHBOARD_NATS__USER": "svc",
    "SWITCHBOARD_NATS__PASSWORD": "hunter2",
    "SWITCHBOARD_REDIS__URL": "redis://:hunter2@127.0.0.1:6379/0",
    "SWITCHBOARD_LIVEKIT__URL": "ws://127.0.0.1:7880",
    "SWITCHBOARD_LIVEKIT__API_KEY": "key",
    "SWITCHBOARD_LIVEKIT__API_SECRET": "hunter2",
    "SWITCHBOARD_BLOB__URL": "file:///srv/blobs",
    "SWITCHBOARD_SEALING__MASTER_KEY": KEY,
}


class Nested(Fragment):
    limit: int = Field(ge=1, description="how many")


class Settings(ServiceSettings):
    database: DatabaseSettings
    nats: NatsSettings
    redis: RedisSettings
    livekit: LiveKitSettings
    blob: BlobSettings
    sealing: SealingSettings
    names: tuple[str, ...] = ()
    extra: Nested | None = None


def problems(**changes: str | None) -> list[str]:
    environ = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ)
    return caught.value.problems


def test_a_complete_environment_is_read() -> None:
    settings = load(
        Settings, {**GOOD, "SWITCHBOARD_NAMES": '["a"]', "switchboard_http__drain_grace_s": "3", "OTHER": "x"}
    )

    assert (settings.http.host, settings.http.port, settings.http.drain_grace_s) == ("127.0.0.1", 8000, 3.0)
    assert settings.database.dsn.get_secret_value() == GOOD["SWITCHBOARD_DATABASE__DSN"]
    assert settings.telemetry.log_level == "info"
    assert settings.names == ("a",)
    assert settings.extra is None


def test_everything_that_is_missing_is_listed_at_once_by_variable_with_what_to_put_there() -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, {})

    named = [problem.partition(" ")[0] for problem in caught.value.problems]
    assert named == sorted(GOOD)
    assert all(" is missing: " in problem and len(problem.partition(": ")[2]) > 8 for problem in caught.value.problems)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_no_required_setting_has_a_default(name: str) -> None:
    assert [problem.partition(" ")[0] for problem in problems(**{name: None})] == [name]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SWITCHBOARD_HTTP__PORT", "eighty", "valid integer"),
        ("SWITCHBOARD_HTTP__PORT", "70000", "65535"),
        ("SWITCHBOARD_HTTP__PROT", "80", "known here: SWITCHBOARD_HTTP__HOST, SWITCHBOARD_HTTP__PORT"),
        ("SWITCHBOARD_DATABASE__DSN", "mysql://x:hunter3@db/x", "must begin with postgresql://"),
        ("SWITCHBOARD_REDIS__URL", "hunter3", "must begin with redis://"),
        ("SWITCHBOARD_SEALING__MASTER_KEY", "aHVudGVyMw==", "base64 of 32 bytes, this is 7"),
        ("SWITCHBOARD_SEALING__MASTER_KEY", "not base64!", "must be base64"),
        ("SWITCHBOARD_TELEMETRY__LOG_LEVEL", "loud", "'debug', 'info'"),
        ("SWITCHBOARD_NAMES", "[broken", "valid tuple"),
        ("SWITCHBOARD_NATS__URL", "http://hunter3", "must begin with nats://"),
        ("SWITCHBOARD_EXTRA__LIMIT", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_named_and_never_repeated(name: str, value: str, says: str) -> None:
    (problem,) = problems(**{name: value})

    assert problem.startswith(name)
    assert says in problem
    assert "hunter" not in problem
    assert value not in problem.replace(name, "") or value == "80"


def test_a_validator_that_quotes_the_value_is_not_repeated() -> None:
    def quote(value: SecretStr) -> SecretStr:
        raise ValueError(f"{value.get_secret_value()} will not do")

    class Careless(Fragment):
        secret: Annotated[SecretStr, AfterValidator(quote)] = Field(description="a secret")

    class WithCareless(ServiceSettings):
        careless: Careless

    with pytest.raises(SettingsError) as caught:
        load(WithCareless, {"SWITCHBOARD_HTTP__PORT": "1", "SWITCHBOARD_CARELESS__SECRET": "hunter3"})
    assert caught.value.problems == ["SWITCHBOARD_CARELESS__SECRET: is not acceptable (wanted: a secret)"]


def test_wrong_and_missing_come_in_one_list() -> None:
    found = problems(SWITCHBOARD_HTTP__PORT="x", SWITCHBOARD_NATS__USER=None, SWITCHBOARD_BLOB__URL="ftp://x")
    assert [problem.split(" ")[0].rstrip(":") for problem in found] == [
        "SWITCHBOARD_BLOB__URL",
        "SWITCHBOARD_HTTP__PORT",
        "SWITCHBOARD_NATS__USER",
    ]


def test_secrets_do_not_show_in_the_settings_own_text() -> None:
    settings = load(Settings, GOOD)
    assert "hunter2" not in repr(settings) + str(settings.model_dump())
    assert KEY not in repr(settings)


def test_settings_can_not_be_changed_afterwards() -> None:
    settings = load(Settings, GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.http.port = 1  # type: ignore[misc]


def test_no_file_is_read_behind_anybodys_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in GOOD.items()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError):
        load(Settings, {})


def test_the_exit_status_is_78_and_the_list_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in GOOD:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as caught:
        load_or_exit(Settings)
    assert caught.value.code == 78
    assert "11 settings are missing or wrong" in capsys.readouterr().err


def test_a_fields_variable_can_be_asked_for() -> None:
    assert variable("http", "port") == "SWITCHBOARD_HTTP__PORT"


class WithProviders(ServiceSettings):
    providers: ProviderSettings = ProviderSettings()


class WithKinds(ServiceSettings):
    providers: ProviderKinds = ProviderKinds()


PORT = {"SWITCHBOARD_HTTP__PORT": "1"}
ENDPOINTS = "SWITCHBOARD_PROVIDERS__ENDPOINTS"
MAIN = {"kind": "openai", "base_url": "https://models.example/v1/", "api_key": "hunter2"}


def endpoint_problems(endpoints: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(WithProviders, {**PORT, ENDPOINTS: json.dumps(endpoints)})
    assert "hunter" not in str(caught.value)
    return caught.value.problems


def test_endpoints_are_one_json_variable_and_none_is_the_default() -> None:
    assert load(WithProviders, PORT).providers.endpoints == {}

    settings = load(WithProviders, {**PORT, ENDPOINTS: json.dumps({"openai-main": MAIN})})

    main = settings.providers.endpoints["openai-main"]
    assert (main.kind, main.base_url, main.api_key.get_secret_value()) == (
        "openai",
        "https://models.example/v1",
        "hunter2",
    )
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "acme"}, ": main.kind: input should be 'openai', 'deepgram', 'elevenlabs' or 'cartesia'"),
        ({"base_url": "ftp://models.example"}, ": main.base_url: must begin with http://, https://, ws:// or wss://"),
        ({"base_url": "https:///v1"}, ": main.base_url: must begin with"),
        ({"base_url": "https://hunter:hunter3@models.example"}, ": main.base_url: must be an address alone"),
        ({"base_url": "https://models.example/v1?key=hunter3"}, ": main.base_url: must be an address alone"),
        ({"base_url": "wss://models.example"}, ": main: base_url of kind openai must begin with http://"),
        ({"api_key": "hunter3\n"}, ": main.api_key: must be one word of printable ASCII"),
        ({"api_key": ""}, ": main.api_key: must be one word of printable ASCII"),
        ({"api_kee": "hunter3"}, ": main.api_kee is not a setting"),
    ],
)
def test_a_wrong_member_of_an_endpoint_is_named_with_its_endpoint(change: dict[str, str], says: str) -> None:
    (problem,) = endpoint_problems({"main": {**MAIN, **change}})

    assert problem.startswith(ENDPOINTS + says)


def test_what_an_endpoint_lacks_is_listed_with_what_to_put_there() -> None:
    missing = endpoint_problems({"main": {"kind": "openai"}})

    assert [problem.partition(" is missing: ")[0] for problem in missing] == [
        f"{ENDPOINTS}: main.api_key",
        f"{ENDPOINTS}: main.base_url",
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [("offline", "our own pipeline"), ("Main", "is no name"), ("-x", "is no name"), ("a" * 33, "is no name")],
)
def test_a_name_that_no_tenant_could_choose_is_refused(name: str, says: str) -> None:
    (problem,) = endpoint_problems({name: MAIN})
    assert problem.startswith(f"{ENDPOINTS}: {name}: ")
    assert says in problem

    with pytest.raises(SettingsError, match=says):
        load(WithKinds, {**PORT, "SWITCHBOARD_PROVIDERS__KINDS": json.dumps({name: "openai"})})


def test_kinds_are_names_without_addresses_and_keys() -> None:
    kinds = load(WithKinds, {**PORT, "SWITCHBOARD_PROVIDERS__KINDS": '{"main": "openai", "ear": "deepgram"}'})
    assert kinds.providers.kinds == {"main": "openai", "ear": "deepgram"}
    assert load(WithKinds, PORT).providers.kinds == {}

    with pytest.raises(SettingsError, match=r"SWITCHBOARD_PROVIDERS__KINDS: main: input should be 'openai'"):
        load(WithKinds, {**PORT, "SWITCHBOARD_PROVIDERS__KINDS": json.dumps({"main": MAIN})})
