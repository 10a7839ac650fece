"""The public API as an ASGI application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from switchboard.service.fastapi_problems import fastapi_app

from api_gateway import problems
from api_gateway.audit import endpoints as audit
from api_gateway.calls import endpoints as calls
from api_gateway.documents import endpoints as documents
from api_gateway.edge import Edge
from api_gateway.identity import endpoints as identity
from api_gateway.keys import endpoints as keys
from api_gateway.limits.middleware import RateLimits
from api_gateway.live import endpoints as live
from api_gateway.members import endpoints as members
from api_gateway.resources import Resources
from api_gateway.tenants import endpoints as tenants
from api_gateway.webhooks import livekit

ROUTERS = (
    identity.router,
    tenants.router,
    keys.router,
    members.router,
    documents.router,
    calls.router,
    live.router,
    audit.router,
    livekit.router,
)
TITLE = "Switchboard API"
VERSION = "1"
MAX_WEBHOOK_BYTES = 512 * 1024
_LIMITS = {
    "POST /v1/documents": documents.MAX_UPLOAD_BYTES,
    "POST /webhooks/livekit": MAX_WEBHOOK_BYTES,
}
_DESCRIPTION = (
    "Answer your clinic's phone. People sign in and have a session in a cookie; programs send `authorization: "
    "Bearer <API key>`. Errors are RFC 9457 problem details; `errors` names each wrong field by JSON pointer, with the fix."
)
_LIMIT_HEADERS = {
    "Retry_After": "seconds",
    "RateLimit_Policy": 'the limits: `"<name>";q=<requests>;w=<seconds>`',
    "RateLimit": 'what is left of them: `"<name>";r=<requests>;t=<seconds until all are there again>`',
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `instance` names this occurrence; quote it to support.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "of a 429: the limits that were reached",
        },
        "retryable": {"type": "boolean", "description": "whether the same request may succeed later"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail", "fix"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) to the wrong field"},
                    "detail": {"type": "string"},
                    "fix": {"type": "string"},
                },
            },
        },
    },
}


def create_app(resources: Resources, *, https: bool) -> FastAPI:
    """The application on its resources; ``https``: that is how the public reaches it."""
    app = bare_app(https=https)
    app.state.resources = resources
    return app


def bare_app(*, https: bool = True) -> FastAPI:
    """Routes without resources: enough to describe the API."""
    app = fastapi_app(
        title=TITLE,
        version=VERSION,
        description=_DESCRIPTION,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,  # a redirect would be built from the Host header
        generate_unique_id_function=_operation_id,
    )
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, [route for router in ROUTERS for route in router.routes])
    app.add_middleware(RateLimits)  # inside of Edge: the last one added is the outermost
    app.add_middleware(Edge, limits=_LIMITS, https=https)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document: every error is a problem, in place of the framework's own shape."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(own, None)
    schemas["Problem"] = _PROBLEM
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"] |= _refusals(operation)
    app.openapi_schema = document
    return document


def _refusals(operation: dict[str, Any]) -> dict[str, Any]:
    """What an operation may answer besides what it is for."""

    def problem(description: str, **headers: str) -> dict[str, Any]:
        schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
        found: dict[str, Any] = {"description": description, "content": {"application/problem+json": schema}}
        if headers:
            described = {name.replace("_", "-"): text for name, text in headers.items()}
            found["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()
            }
        return found

    taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "header"}
    found = {"default": problem("a problem"), "429": problem("too many requests", **_LIMIT_HEADERS)}
    if "idempotency-key" in taken:
        found["409"] = problem("it conflicts with what is there, or the same request is being worked on (`retryable`)")
        found["422"] = problem("a field is wrong, or the idempotency key was used for another request")
    if "if-match" in taken:
        found["412"] = problem("it was changed since the version in if-match")
    return found


def _operation_id(route: APIRoute) -> str:
    return route.name
