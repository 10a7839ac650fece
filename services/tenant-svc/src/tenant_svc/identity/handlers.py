"""The requests about people. They name no tenant; what is a person's own follows from the session of their actor."""

from __future__ import annotations

from uuid import UUID

from switchboard.bus import Bus, Call
from switchboard.contracts import identity as contract
from switchboard.contracts.base import Actor, Empty, Origin
from switchboard.errors import Forbidden, NotAuthenticated

from tenant_svc.authorisation import newcomer
from tenant_svc.identity.accounts import Accounts
from tenant_svc.identity.links import Links
from tenant_svc.identity.sessions import Sessions, SignedInUser
from tenant_svc.identity.tenants import Memberships
from tenant_svc.identity.totp import Totp
from tenant_svc.tenants.service import Tenants


def signed_in(call: Call) -> SignedInUser:
    """The person whose session makes this request. A key is no person."""
    actor = newcomer(call)
    if actor.kind == "api_key":
        raise Forbidden("this is for people: sign in; an API key can't do it")
    if actor.kind != "user" or actor.session_id is None:
        raise NotAuthenticated("sign in first")
    return SignedInUser(UUID(actor.id), actor.session_id, _origin(call))


def nowhere(call: Call) -> Actor:
    """The actor without what it is in the tenant of its session: that says nothing about another one."""
    return call.actor.model_copy(update={"tenant_id": None, "roles": ()})


def _origin(call: Call) -> Origin:
    return call.actor.origin or Origin()


async def serve_signing_in(bus: Bus, links: Links, accounts: Accounts, totp: Totp, sessions: Sessions) -> None:
    async def want_link(body: contract.WantLink, call: Call) -> Empty:
        newcomer(call)
        await links.want(body)
        return Empty()

    async def redeem(body: contract.RedeemLink, call: Call) -> contract.SignedIn:
        newcomer(call)
        return await links.redeem(body, _origin(call))

    async def sign_in(body: contract.SignIn, call: Call) -> contract.SignedIn:
        newcomer(call)
        return await accounts.sign_in(body, _origin(call))

    async def second_factor(body: contract.SecondFactor, call: Call) -> contract.SignedIn:
        newcomer(call)
        return await totp.finish_signing_in(body, _origin(call))

    async def authenticate(body: contract.AuthenticateSession, call: Call) -> Actor:
        newcomer(call)
        return await sessions.authenticate(body.token_sha256)

    await bus.serve(contract.WANT_LINK, want_link)
    await bus.serve(contract.REDEEM_LINK, redeem)
    await bus.serve(contract.SIGN_IN, sign_in)
    await bus.serve(contract.SECOND_FACTOR, second_factor)
    await bus.serve(contract.AUTHENTICATE_SESSION, authenticate)


async def serve_own_account(bus: Bus, accounts: Accounts, sessions: Sessions) -> None:
    async def me(_body: Empty, call: Call) -> contract.Me:
        return await accounts.me(signed_in(call), call.actor.tenant_id)

    async def listed(_body: Empty, call: Call) -> contract.SessionList:
        return await sessions.all_of(signed_in(call))

    async def end(body: contract.EndSession, call: Call) -> Empty:
        await sessions.end(signed_in(call), body.session_id)
        return Empty()

    async def change_password(body: contract.ChangePassword, call: Call) -> contract.SignedIn:
        return await accounts.change_password(signed_in(call), body, call.actor.tenant_id)

    await bus.serve(contract.ME, me)
    await bus.serve(contract.LIST_SESSIONS, listed)
    await bus.serve(contract.END_SESSION, end)
    await bus.serve(contract.CHANGE_PASSWORD, change_password)


async def serve_second_factor(bus: Bus, totp: Totp) -> None:
    async def begin(_body: Empty, call: Call) -> contract.TotpBegun:
        return await totp.begin(signed_in(call))

    async def confirm(body: contract.Code, call: Call) -> contract.RecoveryCodes:
        return await totp.confirm(signed_in(call), body)

    async def disable(body: contract.Code, call: Call) -> Empty:
        await totp.disable(signed_in(call), body)
        return Empty()

    await bus.serve(contract.BEGIN_TOTP, begin)
    await bus.serve(contract.CONFIRM_TOTP, confirm)
    await bus.serve(contract.DISABLE_TOTP, disable)


async def serve_own_tenants(bus: Bus, tenants: Tenants, memberships: Memberships) -> None:
    async def new_tenant(body: contract.NewTenant, call: Call) -> contract.TenantMade:
        return await tenants.found(body, signed_in(call).account_id, nowhere(call))

    async def choose(body: contract.ChooseTenant, call: Call) -> contract.SignedIn:
        return await memberships.choose(signed_in(call), body.tenant_id, nowhere(call))

    await bus.serve(contract.NEW_TENANT, new_tenant)
    await bus.serve(contract.CHOOSE_TENANT, choose)
