"""Links by mail: signing up, signing in, choosing a new password; and that nobody learns who has an account."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest
from fleet.mailbox.box import Mailbox, Received
from fleet.prove import Tried
from switchboard.contracts import identity
from switchboard.contracts.base import Actor, Empty, Origin
from switchboard.errors import InvalidInput, NotAuthenticated
from switchboard.sealed import Sealed
from tenant_svc.identity import passwords
from tenant_svc.identity import repository as identity_sql
from tenant_svc.mail import repository as mail_sql
from tenant_svc.testing import CONSOLE, TenantSvc, sha256, until

pytestmark = pytest.mark.integration

EMAIL = "office@sol.example"
PASSWORD = "correct horse battery staple"
BROWSER = sha256("the cookie of a browser")
OTHER_BROWSER = sha256("the cookie of another browser")


def wanted(purpose: identity.LinkPurpose, email: str = EMAIL, password: str | None = None) -> identity.WantLink:
    sealed = None if password is None else Sealed(password)
    return identity.WantLink(purpose=purpose, email=Sealed(email), password=sealed, browser_sha256=BROWSER)


def redeeming(link: str, browser: str = BROWSER, password: str | None = None) -> identity.RedeemLink:
    link_id, _, secret = link.partition(".")
    sealed = None if password is None else Sealed(password)
    return identity.RedeemLink(
        link_id=UUID(link_id), secret_sha256=sha256(secret), browser_sha256=browser, password=sealed
    )


async def mailed(tenant_svc: TenantSvc, mailbox: Mailbox, body: identity.WantLink) -> Received:
    before = mailbox.count
    assert await tenant_svc.ask_as(identity.WANT_LINK, body) == Empty()
    return await mailbox.wait(str(body.email), before)


async def link(tenant_svc: TenantSvc, mailbox: Mailbox, body: identity.WantLink) -> str:
    return (await mailed(tenant_svc, mailbox, body)).links[0].partition("#")[2]


async def signed_up(tenant_svc: TenantSvc, mailbox: Mailbox, email: str = EMAIL) -> identity.SignedIn:
    found = await link(tenant_svc, mailbox, wanted("sign_up", email, PASSWORD))
    session: identity.SignedIn = await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(found))
    return session


async def sign_in(tenant_svc: TenantSvc, email: str = EMAIL, password: str = PASSWORD) -> identity.SignedIn:
    body = identity.SignIn(email=Sealed(email), password=Sealed(password))
    session: identity.SignedIn = await tenant_svc.ask_as(identity.SIGN_IN, body)
    return session


async def test_signing_up_with_a_password(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    """No account is there before its address has answered."""
    mail = await mailed(tenant_svc, mailbox, wanted("sign_up", EMAIL, PASSWORD))
    assert mail.subject == "Finish signing up"
    assert mail.links[0].startswith(f"{CONSOLE}/link#")
    assert await tenant_svc.rows("SELECT 1 FROM tenancy.accounts") == []
    with pytest.raises(NotAuthenticated):
        await sign_in(tenant_svc)

    origin = Origin(ip="203.0.113.9", user_agent="Firefox")
    asked = redeeming(mail.links[0].partition("#")[2])
    session = await tenant_svc.ask_as(identity.REDEEM_LINK, asked, Actor(kind="anonymous", origin=origin))

    actor = await tenant_svc.who(session)
    assert (actor.kind, actor.tenant_id, actor.roles) == ("user", None, ())
    me = await tenant_svc.ask_as(identity.ME, Empty(), actor)
    assert (me.email, me.has_password, me.tenants) == (EMAIL, True, ())
    [shown] = (await tenant_svc.ask_as(identity.LIST_SESSIONS, Empty(), actor)).sessions
    assert (shown.ip, shown.user_agent, shown.current) == ("203.0.113.9", "Firefox", True)
    assert (await tenant_svc.who(await sign_in(tenant_svc))).id == actor.id
    assert (await tenant_svc.who(await sign_in(tenant_svc, f"  {EMAIL.upper()} "))).id == actor.id


async def test_signing_up_and_in_without_a_password(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    first = await link(tenant_svc, mailbox, wanted("sign_up"))
    actor = await tenant_svc.who(await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(first)))
    again = await link(tenant_svc, mailbox, wanted("sign_in"))
    assert (await tenant_svc.who(await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(again)))).id == actor.id
    for password in ("", PASSWORD):
        with pytest.raises(NotAuthenticated):
            await sign_in(tenant_svc, password=password)


async def test_of_fifty_who_redeem_a_link_at_once_one_gets_in(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    found = redeeming(await link(tenant_svc, mailbox, wanted("sign_up", EMAIL, PASSWORD)))
    results = await asyncio.gather(
        *(tenant_svc.ask_as(identity.REDEEM_LINK, found) for _ in range(50)), return_exceptions=True
    )
    assert [type(result) for result in results].count(identity.SignedIn) == 1
    assert {type(result) for result in results} == {identity.SignedIn, NotAuthenticated}
    assert len(await tenant_svc.rows("SELECT 1 FROM tenancy.sessions")) == 1


async def test_a_link_is_for_the_browser_that_asked_and_for_ten_minutes(
    tenant_svc: TenantSvc, mailbox: Mailbox
) -> None:
    await signed_up(tenant_svc, mailbox)
    found = await link(tenant_svc, mailbox, wanted("sign_in"))
    wrong = found[:-1] + ("0" if found[-1] != "0" else "1")
    said = []
    for refused in (
        redeeming(found, OTHER_BROWSER),
        redeeming(wrong),
        redeeming(f"{UUID(int=5).hex}.{found.partition('.')[2]}"),
    ):
        with pytest.raises(NotAuthenticated) as caught:
            await tenant_svc.ask_as(identity.REDEEM_LINK, refused)
        said.append(caught.value.to_problem())
    [row] = await tenant_svc.rows(
        "SELECT expires_at - created_at AS valid, used_at FROM tenancy.links WHERE purpose = 'sign_in'"
    )
    assert row["valid"].total_seconds() == 600
    assert row["used_at"] is None
    await tenant_svc.rows("UPDATE tenancy.links SET expires_at = now() - interval '1 second' WHERE purpose = 'sign_in'")
    with pytest.raises(NotAuthenticated) as caught:
        await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(found))
    assert [*said, caught.value.to_problem()] == [said[0]] * 4


async def test_only_hashes_of_links_are_kept_and_no_mail_once_it_is_sent(
    tenant_svc: TenantSvc, mailbox: Mailbox
) -> None:
    found = (await link(tenant_svc, mailbox, wanted("sign_up", EMAIL, PASSWORD))).partition(".")[2]
    assert len(bytes.fromhex(found)) >= 16
    rows = await tenant_svc.rows("SELECT l::text || m::text AS row FROM tenancy.links AS l, tenancy.mails AS m")
    assert [row for row in rows if found in row["row"] or PASSWORD in row["row"]] == []

    async def emptied() -> bool:
        [row] = await tenant_svc.rows("SELECT outcome, body_sealed FROM tenancy.mails")
        return (row["outcome"], row["body_sealed"]) == ("sent", None)

    await until(emptied)


async def test_choosing_a_new_password_ends_every_session(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    old = await signed_up(tenant_svc, mailbox)
    found = await link(tenant_svc, mailbox, wanted("reset"))
    for password in (None, "short", EMAIL):
        with pytest.raises(InvalidInput):
            await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(found, password=password))
    fresh = await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(found, password="quite another sentence"))
    await tenant_svc.who(fresh)
    with pytest.raises(NotAuthenticated):
        await tenant_svc.who(old)
    with pytest.raises(NotAuthenticated):
        await sign_in(tenant_svc)
    await sign_in(tenant_svc, password="quite another sentence")
    with pytest.raises(NotAuthenticated):
        await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(found, password="yet another sentence"))


async def test_a_second_link_to_sign_up_changes_nobodys_password(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    """Also one that was asked for before there was an account."""
    early = await link(tenant_svc, mailbox, wanted("sign_up", EMAIL, "another password altogether"))
    actor = await tenant_svc.who(await signed_up(tenant_svc, mailbox))
    again = await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(early))
    assert (await tenant_svc.who(again)).id == actor.id
    with pytest.raises(NotAuthenticated):
        await sign_in(tenant_svc, password="another password altogether")
    late = await mailed(tenant_svc, mailbox, wanted("sign_up", EMAIL, "another password altogether"))
    assert late.subject == "You have an account already"
    assert [found for found in late.links if "#" in found] == []


async def test_a_link_that_opens_nothing_opens_nothing(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    """Its secret was told to nobody; who knew it all the same would have the account."""
    await signed_up(tenant_svc, mailbox)
    await tenant_svc.ask_as(identity.WANT_LINK, wanted("sign_up", EMAIL, "another password altogether"))
    link_id, secret = UUID(int=11), "0" * 64
    await tenant_svc.rows(
        "UPDATE tenancy.links SET id = $1, secret_sha256 = sha256($2) WHERE purpose = 'nothing'",
        link_id,
        secret.encode(),
    )
    with pytest.raises(NotAuthenticated):
        await tenant_svc.ask_as(identity.REDEEM_LINK, redeeming(f"{link_id.hex}.{secret}"))


async def test_nobody_fills_somebodys_mailbox(tenant_svc: TenantSvc, mailbox: Mailbox) -> None:
    for _ in range(8):
        await tenant_svc.ask_as(identity.WANT_LINK, wanted("sign_in"))
    await mailed(tenant_svc, mailbox, wanted("sign_in", "somebody-else@sol.example"))
    assert len(mailbox.to(EMAIL)) == 5


@pytest.mark.parametrize(
    "email", ["", "x", "a@b", "a b@c.example", "a@b.example\r\nBcc: c@d.example", "@b.example", "ä@b.example"]
)
async def test_what_can_not_be_an_address_is_refused(tenant_svc: TenantSvc, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await tenant_svc.ask_as(identity.WANT_LINK, wanted("sign_in", email))
    assert [field.pointer for field in refused.value.fields] == ["/email"]


# -- who has an account -----------------------------------------------------------------------------------------------

Ask = Callable[[str], Awaitable[object]]


def questions(tenant_svc: TenantSvc) -> dict[str, Ask]:
    """What a stranger can ask of an address."""

    async def refused(email: str) -> object:
        with pytest.raises(NotAuthenticated) as caught:
            await sign_in(tenant_svc, email, "not that password at all")
        return caught.value.to_problem()

    def asking(purpose: identity.LinkPurpose, password: str | None = None) -> Ask:
        return lambda email: tenant_svc.ask_as(identity.WANT_LINK, wanted(purpose, email, password))

    return {
        "sign up": asking("sign_up", PASSWORD),
        "link": asking("sign_in"),
        "reset": asking("reset"),
        "sign in": refused,
    }


async def written(tenant_svc: TenantSvc, known: str, unknown: str) -> tuple[list[object], list[object]]:
    """What asking has left in the database, beside the address."""
    query = (
        "SELECT length(secret_sha256), length(browser_sha256), password_hash IS NULL, expires_at - created_at, used_at "
        "FROM tenancy.links WHERE email = $1 ORDER BY created_at"
    )
    known_rows, unknown_rows = await tenant_svc.rows(query, known), await tenant_svc.rows(query, unknown)
    return [tuple(row) for row in known_rows], [tuple(row) for row in unknown_rows]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done for a request, by name: statements on accounts, links and mail, and checks of a password."""
    done: list[str] = []
    named = {
        text: name
        for module in (identity_sql, mail_sql)
        for name, text in vars(module).items()
        if name.isupper() and not name.startswith(("PRUNE", "CLAIM", "SETTLE", "POSTPONE"))
    }
    verify = passwords._verified

    def verified(held: str, password: str) -> bool:
        done.append("a password is checked")
        return verify(held, password)

    def counted(real: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def method(conn: object, query: str, *arguments: object, **options: object) -> object:
            if query in named:
                done.append(named[query])
            return await real(conn, query, *arguments, **options)

        return method

    monkeypatch.setattr(passwords, "_verified", verified)
    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        monkeypatch.setattr(asyncpg.Connection, name, counted(getattr(asyncpg.Connection, name)))
    return done


async def test_an_address_with_an_account_is_answered_like_one_without(
    tenant_svc: TenantSvc, mailbox: Mailbox, work: list[str]
) -> None:
    """The same answer after the same work, and a mail to either."""
    await signed_up(tenant_svc, mailbox)
    disabled = await tenant_svc.person("gone@sol.example")
    await tenant_svc.rows("UPDATE tenancy.accounts SET disabled_at = now() WHERE id = $1", UUID(disabled.id))
    await tenant_svc.rows("DELETE FROM tenancy.links")
    for question, ask in questions(tenant_svc).items():
        done = []
        for email in ("nobody@sol.example", EMAIL, "gone@sol.example"):
            work.clear()
            done.append((await ask(email), list(work)))
        assert done[0] == done[1] == done[2], question
        assert ("INSERT_MAIL" in done[0][1]) == (question != "sign in")
        assert ("a password is checked" in done[0][1]) == (question == "sign in")
    known, unknown = await written(tenant_svc, EMAIL, "nobody@sol.example")
    assert known == unknown
    assert len(known) == 3


async def test_a_disabled_account_tells_nobody_that_the_password_is_right(
    tenant_svc: TenantSvc, mailbox: Mailbox, work: list[str]
) -> None:
    await signed_up(tenant_svc, mailbox)
    await tenant_svc.rows("UPDATE tenancy.accounts SET disabled_at = now()")
    done = []
    for email in ("nobody@sol.example", EMAIL):
        work.clear()
        with pytest.raises(NotAuthenticated) as refused:
            await sign_in(tenant_svc, email)
        done.append((refused.value.to_problem(), list(work)))
    assert done[0] == done[1]


async def test_how_long_an_answer_takes_tells_nothing(
    tenant_svc: TenantSvc, mailbox: Mailbox, record_property: Tried
) -> None:
    """The figures stand in docs/reliability.md, by `make prove`; a wall-clock time is asserted nowhere."""
    pairs = int(os.environ.get("ENUMERATION_PAIRS", "10"))
    await signed_up(tenant_svc, mailbox)
    for question, ask in questions(tenant_svc).items():
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for number in range(pairs):
            for known in (True, False) if number % 2 else (False, True):
                began = time.perf_counter()
                await ask(EMAIL if known else f"nobody-{number}@sol.example")
                seconds[known].append(time.perf_counter() - began)
            if number % 5 == 4:
                await tenant_svc.rows("DELETE FROM tenancy.links WHERE email = $1", EMAIL)
        medians = {known: statistics.median(values) * 1000 for known, values in seconds.items()}
        apart = abs(medians[True] - medians[False])
        record_property(f"ms apart ({question}, of {medians[True]:.1f} ms)", round(apart, 3))
        assert len(seconds[True]) == len(seconds[False]) == pairs
    record_property("pairs", pairs * len(questions(tenant_svc)))
