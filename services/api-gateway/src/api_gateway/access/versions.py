"""``ETag`` and ``If-Match`` (RFC 9110): a change is made to the version that was looked at, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from switchboard.contracts.base import Contract, Terms
from switchboard.errors import FieldProblem, InvalidInput
from switchboard.etags import etag

from api_gateway.access.caller import Caller

_MOST = 10
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]{0,100})"')
_DESCRIPTION = "the etag that you have got; the change is made only if nobody made another one since (412)"

VERSIONED: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "ETag": {"description": "names this version, for if-match of a change", "schema": {"type": "string"}},
        }
    }
}


@dataclass(frozen=True, slots=True)
class Precondition:
    """``tags`` is empty when any version will do."""

    tags: tuple[str, ...]

    def __call__(self, caller: Caller) -> Caller:
        return caller.on(Terms(if_match=self.tags)) if self.tags else caller


async def _precondition(
    request: Request, if_match: Annotated[str | None, Header(description=_DESCRIPTION)] = None
) -> Precondition:
    if if_match is None:
        return Precondition(())
    sent = [part.strip() for value in request.headers.getlist("if-match") for part in value.split(",")]
    if sent == ["*"]:
        return Precondition(())
    found = [_TAG.fullmatch(part) for part in sent]
    if not 1 <= len(sent) <= _MOST or None in found:
        problem = FieldProblem(
            "", "the header if-match can't be read", 'send the etag as you got it, quotes included: "…"'
        )
        raise InvalidInput("that is no if-match", fields=[problem])
    # A weak one equals nothing here: as it was sent, it can't be one of ours.
    return Precondition(tuple(match[0] if match[1] else match[2] for match in found if match is not None))


IfMatch = Annotated[Precondition, Depends(_precondition)]


def written(state: Contract) -> str:
    """The version of ``state`` as it stands in headers, quotes included."""
    return f'"{etag(state)}"'


def tag(response: Response, state: Contract) -> None:
    """Names the version that ``response`` shows."""
    response.headers["etag"] = written(state)
