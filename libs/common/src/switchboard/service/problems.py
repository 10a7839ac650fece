"""Errors over HTTP: RFC 9457 problem details."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from switchboard.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    RateLimited,
    SwitchboardError,
    TooLarge,
    Unavailable,
    Unsupported,
    as_public,
)

PROBLEM_JSON = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A response: ``body`` is the JSON text, ``headers`` hold the content type."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def problem_of(error: BaseException, request_id: str | None = None) -> Problem:
    """What a client may know of ``error``: ours as they are, anything else as a plain internal error.

    ``request_id`` becomes ``instance``, the name of this occurrence, so that support can find it in the log.
    """
    public: SwitchboardError = as_public(error)
    headers = {"content-type": PROBLEM_JSON, "cache-control": "no-store"}
    if public.retryable:
        headers["retry-after"] = str(public.retry_after_s)
    if isinstance(public, NotAuthenticated):
        headers["www-authenticate"] = "Bearer"
    instance = None if request_id is None else f"urn:switchboard:request:{request_id}"
    body = json.dumps(public.to_problem(instance), separators=(",", ":")).encode()
    return Problem(public.status, body, headers)


_BY_STATUS: dict[int, type[SwitchboardError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: TooLarge,
    415: Unsupported,
    422: InvalidInput,
    429: RateLimited,
    503: Unavailable,
}


def of_status(status: int, request_id: str | None = None, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem for an error that a framework raised itself (no such route, wrong method)."""
    kind = _BY_STATUS.get(status)
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    if kind is not None:
        made = problem_of(kind(), request_id)
        body = {**json.loads(made.body), "status": status}
        extra = made.headers
    else:
        body = {"type": "about:blank", "title": phrase, "status": status, "retryable": False}
        if request_id is not None:
            body["instance"] = f"urn:switchboard:request:{request_id}"
        extra = {"content-type": PROBLEM_JSON, "cache-control": "no-store"}
    allowed = {key.lower(): value for key, value in (headers or {}).items() if key.lower() in ("allow", "retry-after")}
    return Problem(status, json.dumps(body, separators=(",", ":")).encode(), {**extra, **allowed})


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer from a framework's location: ``("body", "hours", 0)`` -> ``/hours/0``, ``("query", "q")`` ->
    ``/q``.
    """
    parts = [str(part) for part in location]
    if parts and parts[0] in ("body", "query", "path", "header", "cookie", "data"):
        parts = parts[1:]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts if part)
