"""FastAPI the way this house uses it. For services that depend on FastAPI; nothing else imports this."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from switchboard.errors import FieldProblem, InvalidInput, SwitchboardError
from switchboard.service.problems import Problem, of_status, pointer, problem_of


def fastapi_app(**options: Any) -> FastAPI:
    """``FastAPI(**options)`` with problems installed, without its pages of scripts from elsewhere and its own telemetry.

    Its telemetry is on by default wherever a tracer provider is set, and records query strings and exception messages,
    beside the span that our shell makes.
    """
    telemetry = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
    app = FastAPI(**{"telemetry": telemetry, "docs_url": None, "redoc_url": None, **options})
    install_problems(app)
    return app


def install_problems(app: FastAPI) -> None:
    """Every error that ``app`` answers becomes an RFC 9457 problem; input that was refused is never quoted."""

    async def ours(request: Request, error: Exception) -> Response:
        return _response(problem_of(error, _request_id(request)))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        fields = [FieldProblem(pointer(detail["loc"]), str(detail["msg"])) for detail in error.errors()]
        return _response(problem_of(InvalidInput("some fields are wrong", fields=fields), _request_id(request)))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _response(of_status(error.status_code, _request_id(request), error.headers))

    app.add_exception_handler(SwitchboardError, ours)
    app.add_exception_handler(Exception, ours)  # starlette raises it again afterwards; the shell logs it
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _request_id(request: Request) -> str | None:
    value = request.scope.get("state", {}).get("request_id")
    return value if isinstance(value, str) else None


def _response(problem: Problem) -> Response:
    return Response(problem.body, problem.status, dict(problem.headers))
