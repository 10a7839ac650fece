"""Where a request came from, for the audit and for limits."""

from __future__ import annotations

from fastapi import Request
from switchboard.contracts.base import Origin
from switchboard.service import Scope

from api_gateway.problems import request_id

_MOST = 200


def address_of(scope: Scope) -> str:
    """The peer's address is that of the connection: no header says who somebody is."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def origin_of(request: Request) -> Origin:
    """With as much of the user agent as can be shown."""
    agent = request.headers.get("user-agent", "")
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in agent[:_MOST])
    return Origin(ip=address_of(request.scope), user_agent=shown, request_id=request_id(request.scope) or "")
