"""Attacks on whoever is signed in, through the public API: a credential in another's place, one that was there before, fields
that say who one is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from api_gateway.access.cookies import BROWSER, SESSION
from api_gateway.app import bare_app
from fleet.actors import Town, bearer
from fleet.person import Browser
from fleet.prove import Tried
from switchboard.http import HttpResponse

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "quite another sentence of mine"
PLANTED = "ab" * 32
OURS = {"sec-fetch-site": "same-origin"}


@dataclass
class Person:
    """Signed in at `browser`, with a second factor. `codes` are recovery codes, each good once."""

    email: str
    browser: Browser
    secret: str
    codes: list[str]

    async def half(self, planted: str = "") -> HttpResponse:
        """Password only. `planted`: the session cookie that the browser shows."""
        form = {"email": self.email, "password": PASSWORD}
        return await self.browser.send("POST", "/auth/sign-in", form, {"cookie": f"{SESSION}={planted or PLANTED}"})

    @property
    def session(self) -> str:
        return self.browser.cookies[SESSION]


@asynccontextmanager
async def person(town: Town) -> AsyncIterator[Person]:
    email = f"person-{uuid4().hex[:8]}@sol.example"
    async with Browser.open(town.stack.gateway.base_url) as browser:
        await browser.ask("POST", "/auth/sign-up", {"email": email, "password": PASSWORD})
        await browser.ask("POST", "/auth/redeem", {"token": await town.mailbox.link_to(email)})
        secret = (await browser.ask("POST", "/me/second-factor"))["secret"]
        form = {"code": pyotp.TOTP(secret).now()}
        codes = (await browser.ask("POST", "/me/second-factor/confirm", form))["codes"]
        yield Person(email, browser, secret, codes)


async def let_in(town: Town, session: str) -> bool:
    response = await town.ask("GET", "/v1/me", {"cookie": f"{SESSION}={session}"})
    assert response.status_code in (200, 401), response.text
    return response.status_code == 200


# -- a credential in another's place ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Credential:
    """``right``: where it belongs, and its form there."""

    name: str
    id: str
    secret: str
    right: tuple[str, str]

    def forms(self) -> dict[str, str]:
        return {
            "secret": self.secret,
            "key": f"sb_{self.id}_{self.secret}",
            "link": f"{self.id}.{self.secret}",
            "longer": f"{self.secret}0",
        }


@dataclass
class Places:
    """Wherever a credential can be shown; each answers with what came of it. `link` waits for `browser`."""

    town: Town
    browser: str
    link: str
    codes: Iterator[str]

    async def bearer(self, text: str) -> HttpResponse:
        return await self.town.ask("GET", "/v1/tenant", bearer(text))

    async def session(self, text: str) -> HttpResponse:
        return await self.town.ask("GET", "/v1/me", {"cookie": f"{SESSION}={text}"})

    async def second_factor(self, text: str) -> HttpResponse:
        """With a code that is right."""
        headers = {**OURS, "cookie": f"{SESSION}={text}"}
        return await self.town.ask("POST", "/v1/auth/second-factor", headers, json={"code": next(self.codes)})

    async def redeem(self, text: str) -> HttpResponse:
        headers = {**OURS, "cookie": f"{BROWSER}={self.browser}"}
        return await self.town.ask("POST", "/v1/auth/redeem", headers, json={"token": text})

    async def its_browser(self, text: str) -> HttpResponse:
        headers = {**OURS, "cookie": f"{BROWSER}={text}"}
        return await self.town.ask("POST", "/v1/auth/redeem", headers, json={"token": self.link})

    async def invitation(self, text: str) -> HttpResponse:
        """Of somebody else's address."""
        return await self.town.ask("POST", "/v1/me/invitations", await self.town.owner(), json={"token": text})


async def credentials(town: Town, person: Person) -> list[Credential]:
    """One of each kind that there is, all of them in force."""
    full = person.session
    [shown] = (await person.browser.ask("GET", "/me/sessions"))["sessions"]
    assert (await person.half()).json()["second_factor"]
    half = person.session
    after = town.mailbox.count
    await person.browser.ask("POST", "/auth/link", {"email": person.email})
    link_id, _, link = (await town.mailbox.link_to(person.email, after)).partition(".")
    guest = f"guest-{town.unique()}@guest.example"
    invited = await town.made("/v1/invitations", {"email": guest, "role": "admin"})
    invitation = (await town.mailbox.link_to(guest)).partition(".")[2]
    _, key_id, key = town.ours.key.split("_")
    return [
        Credential("key", key_id, key, ("bearer", "key")),
        Credential("session", shown["session_id"].replace("-", ""), full, ("session", "secret")),
        Credential("half a session", uuid4().hex, half, ("second_factor", "secret")),
        Credential("link", link_id, link, ("redeem", "link")),
        Credential("browser", uuid4().hex, person.browser.cookies[BROWSER], ("its_browser", "secret")),
        Credential("invitation", invited["invitation_id"].replace("-", ""), invitation, ("", "")),
    ]


async def test_no_credential_is_taken_for_one_of_another_kind(town: Town, record_property: Tried) -> None:
    """Nor in another form; and each does in its own place what it is for."""
    async with person(town) as somebody:
        known = await credentials(town, somebody)
        link = next(one for one in known if one.name == "link")
        places = Places(town, somebody.browser.cookies[BROWSER], f"{link.id}.{link.secret}", _endless(somebody))
        taken: list[str] = []
        tried = 0
        for credential in known:
            for form, text in credential.forms().items():
                for place in ("bearer", "session", "second_factor", "redeem", "its_browser", "invitation"):
                    if (place, form) == credential.right:
                        continue
                    response = await getattr(places, place)(text)
                    tried += 1
                    if response.status_code not in (401, 404, 422):
                        taken.append(f"{credential.name} as {place}, written as {form}: {response.status_code}")
        assert taken == []
        own = {
            one.name: (await getattr(places, one.right[0])(one.forms()[one.right[1]])).status_code
            for one in known
            if one.right[0] and one.name != "browser"
        }
        assert set(own.values()) == {200}, own
    record_property("credentials in another place", tried)


def _endless(person: Person) -> Iterator[str]:
    """Always the same recovery code: it is used up only when one of the attempts succeeds."""
    while True:
        yield person.codes[0]


# -- one that was there before ----------------------------------------------------------------------------------------


async def test_no_token_of_before_is_good_for_what_one_may_do_afterwards(town: Town, record_property: Tried) -> None:
    """Session fixation: what somebody has planted in a browser, or has seen of it, before its rights grow."""
    async with person(town) as somebody:
        browser, steps = somebody.browser, 0

        async def step(name: str, before: str) -> str:
            nonlocal steps
            steps += 1
            assert somebody.session != before, name
            assert not await let_in(town, before), name
            return somebody.session

        response = await somebody.half(PLANTED)
        assert response.status_code == 200
        half = await step("signing in", PLANTED)
        # A session of the attacker's own, in the browser of whoever signs in.
        theirs = (await town.session(town.people["foreign_owner"], town.theirs.tenant_id))[1]["cookie"].partition("=")[
            2
        ]
        assert (await somebody.half(theirs)).status_code == 200
        assert somebody.session not in (theirs, half)
        half = somebody.session
        await browser.ask("POST", "/auth/second-factor", {"code": somebody.codes.pop()})
        full = await step("the second factor", half)
        tenant = (await browser.ask("POST", "/tenants", {"name": "Sol", "time_zone": "UTC"}))["tenant_id"]
        await browser.ask("POST", "/me/tenant", {"tenant_id": tenant})
        full = await step("choosing a tenant", full)
        await browser.ask("PUT", "/me/password", {"current": PASSWORD, "password": NEW_PASSWORD})
        full = await step("a new password", full)
        after = town.mailbox.count
        await browser.ask("POST", "/auth/reset", {"email": somebody.email})
        form = {"token": await town.mailbox.link_to(somebody.email, after), "password": PASSWORD}
        await browser.ask("POST", "/auth/redeem", form)
        await step("a reset", full)
        await browser.ask("POST", "/auth/second-factor", {"code": somebody.codes.pop()})
        full = somebody.session
        await browser.ask("DELETE", "/me/session")
        await step("signing out", full)
    record_property("changes of what a session may do", steps)


async def test_what_was_used_is_of_no_use_again(town: Town, record_property: Tried) -> None:
    """Replay: each of twenty copies of one request, at once and afterwards."""
    copies = 20
    async with person(town) as somebody:
        browser = somebody.browser
        assert (await somebody.half()).status_code == 200
        half = somebody.session
        code = pyotp.TOTP(somebody.secret).at(int(time.time()) + 30)
        after = town.mailbox.count
        await browser.ask("POST", "/auth/link", {"email": somebody.email})
        link = await town.mailbox.link_to(somebody.email, after)
        requests: dict[str, tuple[str, str, dict[str, str]]] = {
            "a code": ("/v1/auth/second-factor", f"{SESSION}={half}", {"code": code}),
            "a link": ("/v1/auth/redeem", f"{BROWSER}={browser.cookies[BROWSER]}", {"token": link}),
        }
        for name, (path, cookie, form) in requests.items():
            asking = [town.ask("POST", path, {**OURS, "cookie": cookie}, json=form) for _ in range(copies)]
            statuses = [response.status_code for response in await asyncio.gather(*asking)]
            statuses.append((await town.ask("POST", path, {**OURS, "cookie": cookie}, json=form)).status_code)
            assert sorted(statuses) == [200] + [401] * copies, name
    record_property("replays", len(requests) * copies)


# -- fields that say who one is ---------------------------------------------------------------------------------------

EXTRA: dict[str, Any] = {
    "tenant_id": str(uuid4()),
    "id": str(uuid4()),
    "user_id": str(uuid4()),
    "account_id": str(uuid4()),
    "session_id": str(uuid4()),
    "role": "owner",
    "roles": ["owner"],
    "scopes": ["audit:read"],
    "actor": {"kind": "user", "roles": ["owner"]},
    "kind": "service",
    "status": "live",
    "support": True,
    "suspended": False,
    "disabled_at": None,
    "second_factor": False,
    "created_by": "user:x",
    "password_hash": "x",
    "secret_sha256": "0" * 64,
    "browser_sha256": "0" * 64,
    "expires_at": "2099-01-01T00:00:00Z",
    "terms": {},
    "__proto__": {},
}


def forms() -> dict[str, set[str]]:
    """Operations that take JSON -> the fields of their form."""
    document = bare_app().openapi()
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                schema = content["application/json"]["schema"]
                name = next(part["$ref"] for part in (schema, *schema.get("anyOf", ())) if "$ref" in part)
                form = document["components"]["schemas"][name.rpartition("/")[2]]
                found[f"{method.upper()} {path}"] = set(form["properties"])
    return found


async def test_no_form_takes_a_field_that_says_who_one_is(town: Town, record_property: Tried) -> None:
    """Mass assignment: each such field is named, and nothing is done."""
    owner, tried = await town.owner(), 0
    passed: list[str] = []
    for operation, own in forms().items():
        method, _, path = operation.partition(" ")
        for parameter in ("user_id", "document_id", "call_id"):
            path = path.replace(f"{{{parameter}}}", str(uuid4()))
        extra = {name: value for name, value in EXTRA.items() if name not in own}
        response = await town.ask(method, path, owner, json=extra)
        named = {error.get("pointer") for error in response.json().get("errors", ())}
        passed += [f"{operation}: {name} ({response.status_code})" for name in extra if f"/{name}" not in named]
        tried += len(extra)
    assert passed == []
    record_property("fields that a form does not have", tried)
