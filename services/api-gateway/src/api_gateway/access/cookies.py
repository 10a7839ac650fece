"""The two cookies: a person's session, and the browser that a link by mail is for.

``__Host-``: set by this very host over TLS, for all of it and nothing beyond. No script reads them.
"""

from __future__ import annotations

import hashlib
import re

from fastapi import Request, Response

SESSION = "__Host-session"
BROWSER = "__Host-browser"
_SECRET = re.compile(r"[0-9a-f]{64}")
_BROWSER_S = 24 * 3600


def presented(request: Request, name: str) -> str | None:
    """The secret in that cookie; ``None`` when there is none that could be ours."""
    value = request.cookies.get(name, "")
    return value if _SECRET.fullmatch(value) else None


def digest(secret: str) -> str:
    """What goes further than the gateway of a secret that a browser has shown."""
    return hashlib.sha256(secret.encode()).hexdigest()


def set_session(response: Response, secret: str, seconds: float) -> None:
    _set(response, SESSION, secret, int(seconds))
    # What the browser has kept of the tenant that the session before was in.
    response.headers["clear-site-data"] = '"cache"'


def clear_session(response: Response) -> None:
    _set(response, SESSION, "", 0)
    response.headers["clear-site-data"] = '"cache"'


def set_browser(response: Response, secret: str) -> None:
    _set(response, BROWSER, secret, _BROWSER_S)


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")
