"""The operators' routes about people. Addresses stand in the body: an address line is logged by whatever is in between."""

from __future__ import annotations

from typing import Any

from litestar import Router, post
from pydantic import BaseModel, ConfigDict, SecretStr
from switchboard.ids import token

from tenant_svc.identity.accounts import Accounts
from tenant_svc.operators.endpoints import BearerGuard


class Address(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: str


def people_router(accounts: Accounts, secret: SecretStr) -> Router:
    """Everything under ``/ops/people``."""

    @post("/disable", status_code=200)
    async def disable(data: Address) -> dict[str, Any]:
        """Somebody is out at their next request, and can't sign in."""
        return {"user_id": token(await accounts.disable(data.email))}

    @post("/enable", status_code=200)
    async def enable(data: Address) -> dict[str, Any]:
        """They may sign in again."""
        return {"user_id": token(await accounts.enable(data.email))}

    @post("/support", status_code=200)
    async def support(data: Address) -> dict[str, Any]:
        """Somebody of the platform's support: goes, with a second factor, where a tenant has let support in."""
        return {"user_id": token(await accounts.set_support(data.email, True))}

    @post("/no-support", status_code=200)
    async def no_support(data: Address) -> dict[str, Any]:
        """Not any more, at their next request."""
        return {"user_id": token(await accounts.set_support(data.email, False))}

    return Router("/ops/people", route_handlers=[disable, enable, support, no_support], guards=[BearerGuard(secret)])
