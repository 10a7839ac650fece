"""Typed settings from the environment: small fragments, one base class, and errors that say everything at once.

Variables are ``SWITCHBOARD_<FRAGMENT>__<FIELD>``, e.g. ``SWITCHBOARD_HTTP__PORT``. No secret has a default, and no
value of a variable is ever repeated in an error.

::

    class Settings(ServiceSettings):
        database: DatabaseSettings
        nats: NatsSettings

    settings = load_or_exit(Settings)
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from switchboard.contracts.providers import ENDPOINT_NAME, OFFLINE, ProviderKind

PREFIX = "SWITCHBOARD_"
DSN_SCHEMES = ("postgresql", "postgres")
DELIMITER = "__"
EX_CONFIG = 78
"""Exit status of a process whose configuration is wrong (sysexits.h)."""


def secret_url(*schemes: str) -> AfterValidator:
    """Checks a secret address (one that may hold a password) without repeating it."""
    expected = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in schemes or not parts.netloc:
            raise ValueError(f"must begin with {expected} and name a host")
        return value

    return AfterValidator(check)


def _url(*schemes: str) -> AfterValidator:
    expected = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not (parts.netloc or (parts.scheme == "file" and parts.path)):
            raise ValueError(f"must begin with {expected} and name where to go")
        return value

    return AfterValidator(check)


def _key_of_32_bytes(value: SecretStr) -> SecretStr:
    try:
        raw = base64.b64decode(value.get_secret_value(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    if len(raw) != 32:
        raise ValueError(f"must be base64 of 32 bytes, this is {len(raw)}")
    return value


class Fragment(BaseModel):
    """Base of a group of settings. Unknown names are refused, so that a typing error is not silently a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HttpSettings(Fragment):
    """Where a process listens, and how it stops."""

    host: str = Field("127.0.0.1", description="address to listen on; :: in a container")
    port: int = Field(ge=0, le=65535, description="TCP port to listen on, e.g. 8000; 0 takes a free one")
    drain_delay_s: float = Field(0.0, ge=0, description="seconds to stay reachable as not ready before draining")
    drain_grace_s: float = Field(20.0, gt=0, description="seconds that work in flight may take after SIGTERM")


class NatsSettings(Fragment):
    """The bus. Each service has its own user."""

    url: Annotated[str, _url("nats", "tls", "ws", "wss")] = Field(description="address, e.g. nats://127.0.0.1:4222")
    user: str = Field(min_length=1, description="this service's NATS user")
    password: SecretStr = Field(description="that user's password")


class DatabaseSettings(Fragment):
    """One service's PostgreSQL login."""

    dsn: Annotated[SecretStr, secret_url(*DSN_SCHEMES)] = Field(
        description="postgresql://<service role>:<password>@<host>:<port>/<database>"
    )
    min_pool: int = Field(1, ge=0, le=100, description="connections kept open")
    max_pool: int = Field(10, ge=1, le=100, description="connections at most")
    acquire_timeout_s: float = Field(5.0, gt=0, description="seconds to wait for a free connection")
    statement_timeout_s: float = Field(10.0, gt=0, description="seconds a statement may take")
    lock_timeout_s: float = Field(3.0, gt=0, description="seconds a statement may wait for a lock")
    idle_in_transaction_timeout_s: float = Field(30.0, gt=0, description="seconds a transaction may do nothing")


class RedisSettings(Fragment):
    """A Redis; its address may hold a password."""

    url: Annotated[SecretStr, secret_url("redis", "rediss")] = Field(
        description="redis://[:<password>@]<host>:<port>/<db>"
    )


class LiveKitSettings(Fragment):
    """A LiveKit server (media cell)."""

    url: Annotated[str, _url("ws", "wss", "http", "https")] = Field(description="address, e.g. ws://127.0.0.1:7880")
    api_key: str = Field(min_length=1, description="LiveKit API key")
    api_secret: SecretStr = Field(description="LiveKit API secret")


class BlobSettings(Fragment):
    """Where uploaded bytes rest."""

    url: Annotated[str, _url("file", "s3")] = Field(description="file:///<folder> or s3://<bucket>[/<prefix>]")


class SealingSettings(Fragment):
    """The key that wraps every tenant's data key, and beside it those that it replaces, or that are to replace it."""

    master_key: Annotated[SecretStr, AfterValidator(_key_of_32_bytes)] = Field(
        description="base64 of 32 random bytes (openssl rand -base64 32); losing it loses what was sealed"
    )
    other_master_keys: tuple[Annotated[SecretStr, AfterValidator(_key_of_32_bytes)], ...] = Field(
        default=(), description='JSON list of further keys, which open and never seal, e.g. ["..."]'
    )

    def masters(self) -> list[bytes]:
        """The keys' bytes, the one in force first."""
        return [base64.b64decode(key.get_secret_value()) for key in (self.master_key, *self.other_master_keys)]


def _endpoint_name(value: str) -> str:
    if value == OFFLINE:
        raise ValueError("is the name of our own pipeline, which needs no endpoint; choose another")
    if re.fullmatch(ENDPOINT_NAME, value) is None:
        raise ValueError("is no name: a lower-case letter, then lower-case letters, digits and hyphens, 32 at most")
    return value


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError("must begin with http://, https://, ws:// or wss:// and name a host")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must be an address alone, without user, query or fragment; the key goes into api_key")
    return value.rstrip("/")


def _header_safe(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word of printable ASCII; look for a line break at its end")
    return value


EndpointName = Annotated[str, AfterValidator(_endpoint_name)]


class ProviderEndpoint(Fragment):
    """An account with a provider, or a server that speaks a provider's protocol."""

    kind: ProviderKind = Field(description="protocol it speaks: openai, deepgram, elevenlabs or cartesia")
    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="base address as that provider's clients take it, e.g. https://api.openai.com/v1"
    )
    api_key: Annotated[SecretStr, AfterValidator(_header_safe)] = Field(
        description="the account's key; any word for a server that asks for none"
    )

    @model_validator(mode="after")
    def _protocol(self) -> Self:
        if self.kind == "openai" and not self.base_url.startswith("http"):
            raise ValueError("base_url of kind openai must begin with http:// or https://")
        return self


class ProviderSettings(Fragment):
    """The endpoints that tenants choose among, by name; each service that calls them has its own copy."""

    endpoints: dict[EndpointName, ProviderEndpoint] = Field(
        default_factory=dict, description='JSON object, {"<name>": {"kind": ..., "base_url": ..., "api_key": ...}}'
    )


class ProviderKinds(Fragment):
    """Names and kinds of the same endpoints, for a service that checks what is chosen and never calls them."""

    kinds: dict[EndpointName, ProviderKind] = Field(
        default_factory=dict, description='JSON object, {"<name>": "openai" | "deepgram" | "elevenlabs" | "cartesia"}'
    )


class TelemetrySettings(Fragment):
    """Logs and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    otlp_endpoint: Annotated[str, _url("http", "https")] | None = Field(
        None, description="base address of an OTLP/HTTP collector, e.g. http://127.0.0.1:4318"
    )
    spans_file: Path | None = Field(None, description="file that gets one JSON object per finished span")
    environment: str = Field("local", pattern=r"^[a-z][a-z0-9-]*$", description="deployment.environment.name")


class EnvironmentSettings(BaseSettings):
    """Base of everything that is read from the environment: processes and one-shot commands."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes all four
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment only: no .env file is read behind anybody's back."""
        return init_settings, _Environment(settings_cls)


class ServiceSettings(EnvironmentSettings):
    """What every process needs. Services subclass it and add the fragments that they use."""

    http: HttpSettings
    telemetry: TelemetrySettings = Field(default_factory=lambda: TelemetrySettings.model_validate({}))


class SettingsError(Exception):
    """Everything that is missing or wrong, one line per environment variable. Holds no value of any variable."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


S = TypeVar("S", bound=EnvironmentSettings)


def load(cls: type[S], environ: Mapping[str, str] | None = None) -> S:
    """``cls`` filled from ``environ`` (default: the process's). :class:`SettingsError` lists all that is wrong."""
    variables = os.environ if environ is None else environ
    held = _environ.set(variables)
    try:
        return cls()
    except ValidationError as error:
        raise SettingsError(sorted(set(_problems(cls, error, variables)))) from None
    finally:
        _environ.reset(held)


def load_or_exit(cls: type[S]) -> S:
    """Like :func:`load`; prints the list to standard error and exits 78 when something is wrong."""
    try:
        return load(cls)
    except SettingsError as error:
        _exit(error)


def _exit(error: SettingsError) -> NoReturn:
    lines = "\n".join(f"  {problem}" for problem in error.problems)
    sys.stderr.write(f"This process can't start; {len(error.problems)} settings are missing or wrong:\n{lines}\n")
    raise SystemExit(EX_CONFIG)


_environ: ContextVar[Mapping[str, str]] = ContextVar("switchboard_environ", default=os.environ)


class _Environment(EnvSettingsSource):
    """Reads the mapping given to :func:`load`, and leaves malformed JSON to the validators, which collect errors."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in _environ.get().items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return json.loads(value)
        except ValueError:
            return value


def variable(*path: str) -> str:
    """The environment variable of a field: ``variable("http", "port")`` is ``SWITCHBOARD_HTTP__PORT``."""
    return PREFIX + DELIMITER.join(path).upper()


def _fragment(annotation: Any) -> type[BaseModel] | None:
    """The settings group that a field holds, also behind ``| None`` and ``Annotated``."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _field(cls: type[BaseModel], path: tuple[str, ...]) -> tuple[FieldInfo | None, int]:
    """The declaration at ``path``, as deep as declarations go, and how many parts of it make the variable's name.

    A mapping is one variable that holds JSON: its keys, and what is below them, are parts of its value.
    """
    owner: type[BaseModel] | None = cls
    found: FieldInfo | None = None
    named = 0
    in_mapping = False
    for at, part in enumerate(path):
        if in_mapping and at == named:
            continue  # the key
        if owner is None or part not in owner.model_fields:
            break
        found = owner.model_fields[part]
        owner = _fragment(found.annotation)
        if not in_mapping:
            named = at + 1
            in_mapping = get_origin(found.annotation) is dict
    return found, named if in_mapping else len(path)


def _required(path: tuple[str, ...], field: FieldInfo) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """The single variables that a missing field stands for: a group is missing as all its required members."""
    group = _fragment(field.annotation)
    if group is None:
        yield path, field
        return
    for name, member in group.model_fields.items():
        if member.is_required():
            yield from _required((*path, name), member)


def _problems(cls: type[BaseModel], error: ValidationError, variables: Mapping[str, str]) -> Iterator[str]:
    for detail in error.errors(include_input=False, include_url=False):
        yield from _problem(cls, detail, variables)


def _problem(cls: type[BaseModel], detail: ErrorDetails, variables: Mapping[str, str]) -> Iterator[str]:
    path = tuple(str(part) for part in detail["loc"])
    declared, named = _field(cls, path)
    if named < len(path):
        yield _in_mapping(path[:named], path[named:], detail, declared)
        return
    if detail["type"] == "missing" and declared is not None:
        for leaf, field in _required(path, declared):
            yield f"{variable(*leaf)} is missing: {field.description or 'a value is needed'}"
        return
    name = variable(*path) if path else "settings"
    if detail["type"] == "extra_forbidden":
        group = _fragment(declared.annotation) if declared is not None else None
        known = ", ".join(variable(*path[:-1], member) for member in group.model_fields) if group else "nothing"
        yield f"{name} is not a setting of this process; known here: {known}"
        return
    message = detail["msg"].removeprefix("Value error, ")
    given = next((value for key, value in variables.items() if key.upper() == name), "")
    if given and given in message:
        message = "is not acceptable"  # whatever it is, it may be a secret
    wanted = f" (wanted: {declared.description})" if declared is not None and declared.description else ""
    yield f"{name}: {message[:1].lower()}{message[1:]}{wanted}"


def _in_mapping(
    path: tuple[str, ...], member: tuple[str, ...], detail: ErrorDetails, declared: FieldInfo | None
) -> str:
    """The problem of one member of a variable that holds a JSON object."""
    where = f"{variable(*path)}: {'.'.join(part for part in member if part != '[key]')}"
    wanted = declared.description if declared is not None and member[-1] != "[key]" else ""
    if detail["type"] == "missing":
        return f"{where} is missing: {wanted or 'a value is needed'}"
    if detail["type"] == "extra_forbidden":
        return f"{where} is not a setting"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message[:1].lower()}{message[1:]}" + (f" (wanted: {wanted})" if wanted else "")
