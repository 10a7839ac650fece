"""Every error that the public API answers: RFC 9457 problems that name the field and the fix, and quote nobody's input."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from switchboard.errors import (
    DeadlineExceeded,
    FieldProblem,
    InternalError,
    InvalidInput,
    NoResponder,
    NotFound,
    SwitchboardError,
    Unavailable,
)
from switchboard.sealed import SealError
from switchboard.service import Problem, problem_of
from switchboard.service.problems import of_status, pointer

_log = structlog.get_logger(__name__)

_FIXES: dict[str, str] = {
    "missing": "send this field",
    "extra_forbidden": "remove it, or check how it is spelt",
    "string_type": "send text",
    "string_too_short": "send at least {min_length} characters",
    "string_too_long": "send at most {max_length} characters",
    "string_pattern_mismatch": "send text that matches {pattern}",
    "string_unicode": "send well-formed Unicode text",
    "int_type": "send a whole number",
    "int_parsing": "send a whole number",
    "int_from_float": "send a whole number",
    "bool_type": "send true or false",
    "bool_parsing": "send true or false",
    "greater_than_equal": "send {ge} or more",
    "less_than_equal": "send {le} or less",
    "literal_error": "send one of {expected}",
    "enum": "send one of {expected}",
    "list_type": "send a JSON array",
    "tuple_type": "send a JSON array",
    "too_short": "send at least {min_length} of them",
    "too_long": "send at most {max_length} of them",
    "dict_type": "send a JSON object",
    "model_type": "send a JSON object",
    "model_attributes_type": "send a JSON object",
    "date_from_datetime_parsing": "send a date such as 2026-12-25",
    "date_type": "send a date such as 2026-12-25",
    "date_parsing": "send a date such as 2026-12-25",
}
_GENERIC_FIX = "send a value of the documented form (GET /v1/openapi.json)"
_BODY_FIX = "send a JSON object, with the header content-type: application/json"


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Register the handlers; what escapes them is answered by :class:`api_gateway.edge.Edge`. ``routes`` are all there
    are: they tell which methods an address takes."""

    async def ours(request: Request, error: Exception) -> Response:
        return _response(problem_for(error, request_id(request.scope)))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = tuple(field_problem(detail) for detail in error.errors())
        wrong = InvalidInput(f"{len(fields)} field(s) are wrong", fields=fields)
        return _response(problem_for(wrong, request_id(request.scope)))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _response(_of_framework(request, error, routes))

    app.add_exception_handler(SwitchboardError, ours)
    app.add_exception_handler(SealError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def problem_for(error: BaseException, instance: str | None) -> Problem:
    """What a customer may know of ``error``; names of our services and methods are not among it."""
    public = error
    if isinstance(error, SealError):
        public = Unavailable("this tenant's data can't be opened right now")
    elif isinstance(error, NoResponder):
        public = NoResponder("the part of the service that does this is not available right now; try again")
    elif isinstance(error, DeadlineExceeded):
        public = DeadlineExceeded("that took too long and may or may not have happened; look before trying again")
    elif type(error) is InternalError:
        public = InternalError()
    return problem_of(public, instance)


def field_problem(detail: Mapping[str, Any]) -> FieldProblem:
    """One of pydantic's errors as ours. Uses its type and its limits, never the input."""
    kind = str(detail["type"])
    context: Mapping[str, Any] = detail.get("ctx") or {}
    location: Sequence[str | int] = detail["loc"]
    if kind == "json_invalid":
        return FieldProblem("", f"the body is not JSON: wrong at character {location[-1]}", _BODY_FIX)
    where = pointer(location)
    message = str(detail["msg"]).removeprefix("Value error, ")
    if "fix" in context:
        return FieldProblem(where, message, str(context["fix"]))
    if not where and location[0] == "body":
        return FieldProblem("", "the body is not a JSON object", _BODY_FIX)
    if kind == "value_error":
        return FieldProblem(where, message, message)
    try:
        return FieldProblem(where, message, _FIXES.get(kind, _GENERIC_FIX).format_map(context))
    except KeyError:
        return FieldProblem(where, message, _GENERIC_FIX)


def request_id(scope: Mapping[str, Any]) -> str | None:
    value = scope.get("state", {}).get("request_id")
    return value if isinstance(value, str) else None


def _of_framework(request: Request, error: HTTPException, routes: Sequence[BaseRoute]) -> Problem:
    """Errors that the framework raises itself: no such route, wrong method, unreadable body."""
    instance = request_id(request.scope)
    if error.status_code == 404:
        return problem_of(NotFound("nothing has this address; GET /v1/openapi.json lists what there is"), instance)
    if error.status_code == 405:
        allowed = ", ".join(_methods(request, routes)) or (error.headers or {}).get("Allow", "")
        problem = of_status(405, instance, {"allow": allowed})
        body = json.loads(problem.body)
        body |= {"title": "That method is not for this address", "detail": f"use {allowed}"}
        return replace(problem, body=json.dumps(body, separators=(",", ":")).encode())
    if error.status_code == 400:
        unreadable = InvalidInput(fields=[FieldProblem("", "the body can't be read", _BODY_FIX)])
        return problem_of(unreadable, instance)
    return of_status(error.status_code, instance, error.headers)


def _methods(request: Request, routes: Sequence[BaseRoute]) -> list[str]:
    """Of every route with this path: the framework names those of the first one only."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _response(problem: Problem) -> Response:
    return Response(problem.body, problem.status, dict(problem.headers))
