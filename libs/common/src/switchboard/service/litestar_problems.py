"""Litestar's errors as problem+json. For services that depend on Litestar; nothing else imports this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from switchboard.errors import FieldProblem, InvalidInput, SwitchboardError
from switchboard.service.problems import Problem, of_status, pointer, problem_of

_log = structlog.get_logger(__name__)

Handler = Callable[[Request[Any, Any, Any], Any], Response[bytes]]


def problem_handlers() -> dict[int | type[Exception], Handler]:
    """For ``Litestar(exception_handlers=problem_handlers())``; input that was refused is never quoted."""
    return {SwitchboardError: _ours, ValidationException: _invalid, HTTPException: _http, Exception: _crash}


def _crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    # Litestar keeps it to itself after this, so the shell never sees it.
    _log.error("request failed", exc_info=error)
    return _response(problem_of(error, _request_id(request)))


def _ours(request: Request[Any, Any, Any], error: SwitchboardError) -> Response[bytes]:
    return _response(problem_of(error, _request_id(request)))


def _invalid(request: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    extra = error.extra if isinstance(error.extra, list) else []
    fields = [
        FieldProblem(pointer((item.get("source", "body"), *str(item.get("key", "")).split("."))), str(item["message"]))
        for item in extra
        if isinstance(item, dict) and "message" in item
    ]
    return _response(problem_of(InvalidInput("some fields are wrong", fields=fields), _request_id(request)))


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    return _response(of_status(error.status_code, _request_id(request), error.headers))


def _request_id(request: Request[Any, Any, Any]) -> str | None:
    value = request.scope.get("state", {}).get("request_id")
    return value if isinstance(value, str) else None


def _response(problem: Problem) -> Response[bytes]:
    headers = dict(problem.headers)
    return Response(problem.body, status_code=problem.status, media_type=headers.pop("content-type"), headers=headers)
