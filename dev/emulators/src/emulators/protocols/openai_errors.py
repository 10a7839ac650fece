"""OpenAI's refusals: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import hmac
import json
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from emulators.behaviour import Fault

M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """A request that OpenAI would refuse."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self, request_id: str) -> web.Response:
        headers = {"x-request-id": request_id, **self.headers}
        return web.json_response(self.body, status=self.status, headers=headers)


def check_key(request: web.Request, key: str) -> None:
    """Raises Refused (401) unless the bearer key is ours."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer" or not given:
        raise Refused(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    if not hmac.compare_digest(given.encode(), key.encode()):
        raise Refused(
            401,
            f"Incorrect API key provided: {given[:3]}****. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )


def of_fault(fault: Fault) -> Refused:
    """A 429 or a 500."""
    if fault.kind == "rate_limited":
        return Refused(
            429,
            "Rate limit reached for requests. Please try again later.",
            kind="requests",
            code="rate_limit_exceeded",
            headers={"Retry-After": f"{fault.retry_after_s:g}"},
        )
    message = "The server had an error while processing your request. Sorry about that!"
    return Refused(500, message, kind="server_error")


def unknown_model(model: str) -> Refused:
    """A 404."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Refused(404, message, code="model_not_found")


def no_such_path(request: web.Request) -> Refused:
    """A 404."""
    return Refused(404, f"Invalid URL ({request.method} {request.path})")


async def read(request: web.Request, model: type[M]) -> M:
    """The body, checked. Raises Refused (400) that names what is wrong with it."""
    if request.query:
        raise Refused(400, f"Unknown query parameter: '{next(iter(request.query))}'.", code="unknown_parameter")
    try:
        raw: Any = json.loads(await request.read())
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(raw, dict):
        raise Refused(400, "The JSON body of your request must be an object.")
    try:
        return model.model_validate(raw)
    except ValidationError as errors:
        raise _first(errors) from None


def _first(errors: ValidationError) -> Refused:
    error = errors.errors(include_url=False, include_input=False, include_context=False)[0]
    param = _path(error["loc"])
    if error["type"] == "extra_forbidden":
        if len(error["loc"]) == 1:
            return Refused(400, f"Unrecognized request argument supplied: {param}")
        return Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if error["type"] == "missing":
        return Refused(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return Refused(400, f"Invalid value for '{param}': {error['msg']}.", param=param, code="invalid_value")


def _path(location: tuple[int | str, ...]) -> str:
    """``messages[0].content``: without the names that pydantic gives to the members of a union."""
    found = ""
    for at, part in enumerate(location):
        if isinstance(part, int):
            found += f"[{part}]"
        elif at == 0 or _is_field(part):
            found += f".{part}" if found else part
    return found


_TAGS = frozenset({"system", "developer", "user", "assistant", "tool", "str", "int", "float", "bool", "list", "dict"})


def _is_field(part: str) -> bool:
    return part.isidentifier() and part not in _TAGS and not part[0].isupper()
