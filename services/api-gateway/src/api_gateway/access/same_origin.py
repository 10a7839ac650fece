"""Requests that another site makes a browser send are refused, wherever a cookie says who asks or one is set."""

from __future__ import annotations

from fastapi import Request
from switchboard.errors import Forbidden

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def check_same_origin(request: Request, console: str) -> None:
    """:class:`Forbidden` unless the browser says that a page of ours sent it: by ``Sec-Fetch-Site``, or where that is
    missing by an ``Origin`` that is ``console``. No browser lets a page write either."""
    sites = request.headers.getlist("sec-fetch-site")
    origins = request.headers.getlist("origin")
    if sites == ["same-origin"] or (not sites and origins == [console]):
        return
    raise Forbidden("another site's page sent this, or no browser did; programs use API keys")
