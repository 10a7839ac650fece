"""What ``python -m switchboard.migrate`` needs to know."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from switchboard.settings import DSN_SCHEMES, EnvironmentSettings, Fragment, secret_url


def _typeable(value: SecretStr) -> SecretStr:
    # Plain ASCII needs no SASLprep, so the password's verifier can be computed here and the password never travels.
    text = value.get_secret_value()
    if len(text) < 8 or not all(33 <= ord(character) <= 126 for character in text):
        raise ValueError("must be at least 8 printable ASCII characters without spaces")
    return value


Password = Annotated[SecretStr, AfterValidator(_typeable)]


class Passwords(Fragment):
    """One for each role that logs in."""

    tenant_svc: Password = Field(description="password of the database role tenant_svc")
    call_orchestrator: Password = Field(description="password of the database role call_orchestrator")
    rag_svc: Password = Field(description="password of the database role rag_svc")
    ops: Password = Field(description="password of the database role ops, which reads across tenants")

    def of(self, role: str) -> str:
        value: SecretStr = getattr(self, role)
        return value.get_secret_value()


class MigrateFragment(Fragment):
    admin_dsn: Annotated[SecretStr, secret_url(*DSN_SCHEMES)] = Field(
        description="postgresql:// address of a superuser on the database that is to be migrated"
    )
    passwords: Passwords
    lock_timeout_s: float = Field(5.0, gt=0, description="seconds a migration waits for a table before it gives up")
    statement_timeout_s: float = Field(
        60.0, gt=0, description="seconds a statement may take, and hold what it has locked"
    )
    wait_s: float = Field(120.0, gt=0, description="seconds to wait for another run to finish")


class MigrateSettings(EnvironmentSettings):
    migrate: MigrateFragment
