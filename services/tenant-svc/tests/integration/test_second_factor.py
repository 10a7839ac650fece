"""The second factor: an authenticator's codes, each once; recovery codes; an end to guessing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pyotp
import pytest
import pytest_asyncio
from fleet.bus_fixtures import BusServer, new_master_key
from switchboard.bus import Bus
from switchboard.clock import SystemClock
from switchboard.contracts import identity
from switchboard.contracts.base import Actor, Empty
from switchboard.errors import Conflict, InvalidInput, NotAuthenticated
from switchboard.keyring import Keyring
from switchboard.sealed import Sealed, SealError
from tenant_svc.identity.passwords import HASHER
from tenant_svc.identity.totp import MOST_ATTEMPTS, MOST_GUESSES, RECOVERY_CODES, SECRET, STEP_S, reseal_secrets
from tenant_svc.testing import TenantSvc, sha256

pytestmark = pytest.mark.integration

EMAIL = "office@sol.example"
PASSWORD = "correct horse battery staple"


class Phone:
    """Somebody's authenticator, and their recovery codes."""

    def __init__(self, tenant_svc: TenantSvc, actor: Actor) -> None:
        self.tenant_svc = tenant_svc
        self.actor = actor
        self.secret = ""
        self.codes: tuple[str, ...] = ()

    def code(self, steps: int = 0) -> str:
        """Of now, or of ``steps`` time steps later."""
        return pyotp.TOTP(self.secret).generate_otp(int(SystemClock().now().timestamp()) // STEP_S + steps)

    async def forget_use(self) -> None:
        """As if time had passed: a code that was used may come again."""
        await self.tenant_svc.rows("UPDATE tenancy.accounts SET totp_step = 0 WHERE id = $1", UUID(self.actor.id))

    async def sign_in(self) -> identity.SignedIn:
        body = identity.SignIn(email=Sealed(EMAIL), password=Sealed(PASSWORD))
        session: identity.SignedIn = await self.tenant_svc.ask_as(identity.SIGN_IN, body)
        return session

    async def finish(self, session: identity.SignedIn, code: str) -> identity.SignedIn:
        body = identity.SecondFactor(token_sha256=sha256(session.token), code=Sealed(code))
        full: identity.SignedIn = await self.tenant_svc.ask_as(identity.SECOND_FACTOR, body)
        return full


@pytest_asyncio.fixture
async def phone(tenant_svc: TenantSvc) -> AsyncIterator[Phone]:
    """In force."""
    actor = await tenant_svc.person(EMAIL)
    await tenant_svc.rows("UPDATE tenancy.accounts SET password_hash = $1", HASHER.hash(PASSWORD))
    found = Phone(tenant_svc, actor)
    begun: identity.TotpBegun = await tenant_svc.ask_as(identity.BEGIN_TOTP, Empty(), actor)
    found.secret = str(begun.secret)
    assert pyotp.parse_uri(begun.uri).secret == found.secret
    made: identity.RecoveryCodes = await tenant_svc.ask_as(
        identity.CONFIRM_TOTP, identity.Code(code=Sealed(found.code())), actor
    )
    found.codes = tuple(map(str, made.codes))
    await found.forget_use()
    yield found


async def test_nothing_counts_before_a_code_is_confirmed(tenant_svc: TenantSvc) -> None:
    actor = await tenant_svc.person(EMAIL)
    await tenant_svc.rows("UPDATE tenancy.accounts SET password_hash = $1", HASHER.hash(PASSWORD))
    nothing = identity.Code(code=Sealed("123456"))
    with pytest.raises(Conflict):
        await tenant_svc.ask_as(identity.CONFIRM_TOTP, nothing, actor)
    await tenant_svc.ask_as(identity.BEGIN_TOTP, Empty(), actor)
    with pytest.raises(InvalidInput):
        await tenant_svc.ask_as(identity.CONFIRM_TOTP, nothing, actor)
    assert (await Phone(tenant_svc, actor).sign_in()).second_factor is False
    with pytest.raises(Conflict):
        await tenant_svc.ask_as(identity.DISABLE_TOTP, nothing, actor)


async def test_a_password_alone_is_a_session_that_can_do_nothing(tenant_svc: TenantSvc, phone: Phone) -> None:
    half = await phone.sign_in()
    assert half.second_factor
    with pytest.raises(NotAuthenticated, match="second factor"):
        await tenant_svc.who(half)
    full = await phone.finish(half, phone.code())
    assert (await tenant_svc.who(full)).id == phone.actor.id
    assert full.token != half.token
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(half)
    with pytest.raises(NotAuthenticated):
        await phone.finish(half, phone.code(1))


async def test_a_link_by_mail_does_not_pass_by_the_second_factor(tenant_svc: TenantSvc, phone: Phone) -> None:
    link = UUID(int=9)
    for purpose, password in (("sign_in", None), ("reset", Sealed("quite another sentence"))):
        await tenant_svc.rows("DELETE FROM tenancy.links")
        await tenant_svc.rows(
            "INSERT INTO tenancy.links (id, purpose, secret_sha256, browser_sha256, email, created_at, expires_at) "
            "VALUES ($1, $2, sha256('s'), sha256('b'), $3, now(), now() + interval '1 minute')",
            link,
            purpose,
            EMAIL,
        )
        body = identity.RedeemLink(
            link_id=link, secret_sha256=sha256("s"), browser_sha256=sha256("b"), password=password
        )
        half: identity.SignedIn = await tenant_svc.ask_as(identity.REDEEM_LINK, body)
        assert half.second_factor
        with pytest.raises(NotAuthenticated):
            await tenant_svc.who(half)


async def test_a_code_works_once_also_for_twenty_at_once(tenant_svc: TenantSvc, phone: Phone) -> None:
    halves = [await phone.sign_in() for _ in range(20)]
    code = phone.code()
    results = await asyncio.gather(*(phone.finish(half, code) for half in halves), return_exceptions=True)
    assert [type(result) for result in results].count(identity.SignedIn) == 1
    assert {type(result) for result in results} == {identity.SignedIn, NotAuthenticated}
    # Nor an older one, after a newer.
    with pytest.raises(NotAuthenticated):
        await phone.finish(await phone.sign_in(), phone.code(-1))


async def test_clocks_may_be_half_a_minute_apart_and_no_more(tenant_svc: TenantSvc, phone: Phone) -> None:
    for steps, taken in ((1, True), (-1, True), (3, False), (-3, False)):
        await phone.forget_use()
        half = await phone.sign_in()
        if taken:
            await tenant_svc.who(await phone.finish(half, phone.code(steps)))
        else:
            with pytest.raises(NotAuthenticated):
                await phone.finish(half, phone.code(steps))


async def test_guessing_has_an_end(tenant_svc: TenantSvc, phone: Phone) -> None:
    """Also side by side: a session that waits takes so many codes, and then not even the right one."""
    half = await phone.sign_in()
    wrong = "000000" if phone.code() != "000000" else "000001"
    guesses = [phone.finish(half, wrong) for _ in range(MOST_ATTEMPTS)]
    assert {type(result) for result in await asyncio.gather(*guesses, return_exceptions=True)} == {NotAuthenticated}
    with pytest.raises(NotAuthenticated):
        await phone.finish(half, phone.code())
    await tenant_svc.who(await phone.finish(await phone.sign_in(), phone.code()))


async def test_signing_in_again_and_again_does_not_help_guessing(tenant_svc: TenantSvc, phone: Phone) -> None:
    wrong = "000000" if phone.code() != "000000" else "000001"
    for _ in range(MOST_GUESSES // MOST_ATTEMPTS):
        half = await phone.sign_in()
        for _ in range(MOST_ATTEMPTS):
            with pytest.raises(NotAuthenticated):
                await phone.finish(half, wrong)
    for code in (phone.code(), phone.codes[0]):
        with pytest.raises(NotAuthenticated):
            await phone.finish(await phone.sign_in(), code)
    await tenant_svc.rows("UPDATE tenancy.sessions SET created_at = created_at - interval '15 minutes'")
    await tenant_svc.who(await phone.finish(await phone.sign_in(), phone.code()))


async def test_each_recovery_code_works_once(tenant_svc: TenantSvc, phone: Phone) -> None:
    assert len(set(phone.codes)) == RECOVERY_CODES
    typed = phone.codes[0].replace("-", "").upper()
    actor = await tenant_svc.who(await phone.finish(await phone.sign_in(), typed))
    with pytest.raises(NotAuthenticated):
        await phone.finish(await phone.sign_in(), phone.codes[0])
    me = await tenant_svc.ask_as(identity.ME, Empty(), actor)
    assert (me.second_factor, me.recovery_codes_left) == (True, RECOVERY_CODES - 1)
    stored = await tenant_svc.rows(
        "SELECT a::text || c::text AS row FROM tenancy.accounts AS a, tenancy.recovery_codes AS c"
    )
    assert [row for row in stored for code in (*phone.codes, phone.secret) if code in row["row"]] == []


async def test_it_takes_a_code_to_take_it_away(tenant_svc: TenantSvc, phone: Phone) -> None:
    with pytest.raises(Conflict):
        await tenant_svc.ask_as(identity.BEGIN_TOTP, Empty(), phone.actor)
    with pytest.raises(InvalidInput):
        await tenant_svc.ask_as(identity.DISABLE_TOTP, identity.Code(code=Sealed("nonsense")), phone.actor)
    await tenant_svc.ask_as(identity.DISABLE_TOTP, identity.Code(code=Sealed(phone.codes[3])), phone.actor)
    assert (await phone.sign_in()).second_factor is False
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.recovery_codes") == []


async def test_an_open_session_does_not_guess_it_away(tenant_svc: TenantSvc, phone: Phone) -> None:
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(InvalidInput):
            await tenant_svc.ask_as(identity.DISABLE_TOTP, identity.Code(code=Sealed("nonsense")), phone.actor)
    with pytest.raises(NotAuthenticated, match="too many"):
        await tenant_svc.ask_as(identity.DISABLE_TOTP, identity.Code(code=Sealed(phone.code())), phone.actor)
    again = await tenant_svc.who(await phone.finish(await phone.sign_in(), phone.code()))
    await phone.forget_use()
    await tenant_svc.ask_as(identity.DISABLE_TOTP, identity.Code(code=Sealed(phone.code())), again)


async def test_the_secret_is_sealed_for_its_row_and_follows_the_master_key(
    tenant_svc: TenantSvc, phone: Phone, own_bus: Bus, bus_server: BusServer
) -> None:
    [row] = await tenant_svc.rows("SELECT id, totp_secret_sealed FROM tenancy.accounts")
    held = await own_bus.keyring.cipher(None)
    assert SECRET.open(held, row["id"], row["totp_secret_sealed"]) == phone.secret
    with pytest.raises(SealError):
        SECRET.open(held, UUID(int=1), row["totp_secret_sealed"])

    coming = new_master_key()
    old, new = bus_server.sealing.masters()[0], coming.masters()[0]
    keys = await Keyring(new, own_bus.keyring._store, SystemClock(), others=[old]).cipher(None)
    conn = await asyncpg.connect(tenant_svc.database.dsn("tenant_svc"))
    assert await reseal_secrets(conn, keys) == 1
    assert await reseal_secrets(conn, keys) == 0
    await conn.close()
    alone = await Keyring(new, own_bus.keyring._store, SystemClock()).cipher(None)
    [row] = await tenant_svc.rows("SELECT id, totp_secret_sealed FROM tenancy.accounts")
    assert SECRET.open(alone, row["id"], row["totp_secret_sealed"]) == phone.secret


def test_a_step_is_that_of_every_authenticator() -> None:
    assert pyotp.TOTP("A" * 32).interval == STEP_S
