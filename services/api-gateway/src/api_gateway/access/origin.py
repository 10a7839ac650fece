"""Where a request came from, for the audit."""

from __future__ import annotations

from fastapi import Request
from switchboard.contracts.base import Origin

from api_gateway.problems import request_id

_MOST = 200


def origin_of(request: Request) -> Origin:
    """The peer's address is that of the connection: no header says who somebody is."""
    peer = request.client.host if request.client is not None else ""
    agent = request.headers.get("user-agent", "")
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in agent[:_MOST])
    return Origin(ip=peer, user_agent=shown, request_id=request_id(request.scope) or "")
