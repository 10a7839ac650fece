"""Where a request came from, for the audit."""

from __future__ import annotations

from fastapi import Request
from switchboard.contracts.base import Origin

from api_gateway.problems import request_id
from api_gateway.resources import resources

_MOST = 200


def origin_of(request: Request) -> Origin:
    """The client's address as far as it can be trusted, and as much of the user agent as can be shown."""
    agent = request.headers.get("user-agent", "")
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in agent[:_MOST])
    address = resources(request).proxies.address_of(request.scope)
    return Origin(ip=address[:64], user_agent=shown, request_id=request_id(request.scope) or "")
