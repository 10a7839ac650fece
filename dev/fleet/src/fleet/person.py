"""A person's browser as far as signing in goes, and a clinic's way to its first API key, by mail as everybody's."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Protocol

from switchboard.http import HttpClient, HttpResponse, client
from switchboard.rights import KEY_SCOPES

from fleet.api_models import Account
from fleet.process import FleetError


@dataclass
class Browser:
    """Keeps its cookies itself: ours are `Secure`, and one machine has no TLS. Made by `open`."""

    http: HttpClient
    cookies: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str) -> AsyncIterator[Browser]:
        """`base_url` without `/v1`."""
        async with client(base_url=base_url, timeout_s=30.0) as http:
            yield cls(http)

    async def send(
        self, method: str, path: str, form: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """As a page of the console sends it; `headers` in the place of its own."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"sec-fetch-site": "same-origin", "cookie": cookie, **(headers or {})}
        response = await self.http.request(
            method, f"/v1{path}", json=form, headers={name: value for name, value in sent.items() if value}
        )
        self.http.cookies.clear()
        for header in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                self.cookies[name] = morsel.value
        return response

    async def ask(self, method: str, path: str, form: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer that is no error; FleetError otherwise."""
        response = await self.send(method, path, form)
        if not response.is_success:
            raise FleetError(f"{method} {path}: {response.status_code} {response.text[:300]}")
        return response.json() if response.content else None


class Mails(Protocol):
    """A mailbox of everybody."""

    async def link_to(self, address: str) -> str:
        """What stands behind the # of the link in the newest mail to that address; waits for one."""


async def open_account(
    api_url: str, mails: Mails, *, name: str, email: str, time_zone: str, language: str = "en"
) -> Account:
    """Signs up with a password, reads the mail, founds the clinic, and makes a key that may do all that a key can."""
    password = secrets.token_urlsafe(18)
    async with Browser.open(api_url) as browser:
        await browser.ask("POST", "/auth/sign-up", {"email": email, "password": password})
        await browser.ask("POST", "/auth/redeem", {"token": await mails.link_to(email)})
        clinic = {"name": name, "time_zone": time_zone, "language": language}
        tenant_id = (await browser.ask("POST", "/tenants", clinic))["tenant_id"]
        await browser.ask("POST", "/me/tenant", {"tenant_id": tenant_id})
        user_id = (await browser.ask("GET", "/me"))["user_id"]
        wanted = {"name": "First key", "scopes": sorted(KEY_SCOPES), "expires_in_days": 365}
        api_key = (await browser.ask("POST", "/keys", wanted))["api_key"]
        await browser.ask("DELETE", "/me/session")
    return Account(tenant_id=tenant_id, user_id=user_id, email=email, password=password, api_key=api_key)
