"""The one tree of errors. Each knows whether trying again may help and how it looks to an HTTP client (RFC 9457).

::

    SwitchboardError
    ├── InvalidInput          422  a field is wrong; names the field and the fix
    │   └── InvalidId         400  an id that can't be one; refused before any I/O
    ├── NotAuthenticated      401
    ├── Forbidden             403  the right that is missing is named
    ├── NotFound              404  also for another tenant's resource
    ├── Conflict              409
    │   ├── StaleEpoch        409  an older owner of a call wrote
    │   └── InFlight          409  the same request is being worked on; retryable
    ├── PreconditionFailed    412  what is to be changed has been changed meanwhile
    ├── TooLarge              413
    ├── Unsupported           415
    ├── RateLimited           429  retryable
    ├── Unavailable           503  retryable
    │   ├── NoResponder       503  nobody serves that method now
    │   └── DeadlineExceeded  504
    └── InternalError         500  what the caller is told of anything else
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

PROBLEM_BASE = "urn:switchboard:problem:"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: a JSON pointer (``/hours/0/opens``), what is wrong, and how to mend it."""

    pointer: str
    detail: str
    fix: str = ""


class SwitchboardError(Exception):
    """Base of every error that is allowed to cross a service's border."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong on our side"
    retryable: ClassVar[bool] = False
    retry_after_s: int = 1
    """Of a retryable one: when trying again may help."""

    def __init__(self, detail: str = "", *, fields: Sequence[FieldProblem] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.fields = tuple(fields)

    def to_wire(self) -> dict[str, Any]:
        """The form that travels in an RPC reply."""
        return {
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "fields": [{"pointer": f.pointer, "detail": f.detail, "fix": f.fix} for f in self.fields],
        }

    def to_problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 problem object."""
        problem: dict[str, Any] = {
            "type": PROBLEM_BASE + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "retryable": self.retryable,
        }
        if self.fields:
            problem["errors"] = [{"pointer": f.pointer, "detail": f.detail, "fix": f.fix} for f in self.fields]
        if instance is not None:
            problem["instance"] = instance
        return problem


class InvalidInput(SwitchboardError):
    code = "invalid-input"
    status = 422
    title = "A field is wrong"


class InvalidId(InvalidInput):
    code = "invalid-id"
    status = 400
    title = "That is not an id"

    def __init__(self, field: str = "id", detail: str = "", *, fields: Sequence[FieldProblem] = ()) -> None:
        # The offending text is not repeated: it may be hostile, and it may be somebody's number.
        given = fields or (FieldProblem(f"/{field}", detail or self.title, "send the id as it was given to you"),)
        super().__init__(detail or f"{field} is not an id", fields=given)


class NotAuthenticated(SwitchboardError):
    code = "not-authenticated"
    status = 401
    title = "Sign in, or send a valid API key"


class Forbidden(SwitchboardError):
    code = "forbidden"
    status = 403
    title = "You don't have the right to do that"


class NotFound(SwitchboardError):
    code = "not-found"
    status = 404
    title = "There is no such thing here"


class Conflict(SwitchboardError):
    code = "conflict"
    status = 409
    title = "That conflicts with what is there"


class StaleEpoch(Conflict):
    code = "stale-epoch"
    title = "A newer owner has taken over this call"


class InFlight(Conflict):
    code = "in-flight"
    title = "That request is being worked on"
    retryable = True


class PreconditionFailed(SwitchboardError):
    code = "precondition-failed"
    status = 412
    title = "It has been changed meanwhile"


class TooLarge(SwitchboardError):
    code = "too-large"
    status = 413
    title = "That is larger than we take"


class Unsupported(SwitchboardError):
    code = "unsupported"
    status = 415
    title = "We can't read that kind of content"


class RateLimited(SwitchboardError):
    code = "rate-limited"
    status = 429
    title = "Too many requests"
    retryable = True

    def __init__(
        self,
        detail: str = "",
        *,
        fields: Sequence[FieldProblem] = (),
        retry_after_s: int = 1,
        violated_policies: Sequence[str] = (),
    ) -> None:
        super().__init__(detail, fields=fields)
        self.retry_after_s = retry_after_s
        self.violated_policies = tuple(violated_policies)

    def to_problem(self, instance: str | None = None) -> dict[str, Any]:
        """With the names of the limits, as draft-ietf-httpapi-ratelimit-headers has it."""
        problem = super().to_problem(instance)
        return problem | {"violated-policies": list(self.violated_policies)} if self.violated_policies else problem


class Unavailable(SwitchboardError):
    code = "unavailable"
    status = 503
    title = "Not available right now; try again"
    retryable = True


class NoResponder(Unavailable):
    code = "no-responder"


class DeadlineExceeded(Unavailable):
    code = "deadline-exceeded"
    status = 504
    title = "That took too long"


class InternalError(SwitchboardError):
    pass


def _tree(root: type[SwitchboardError]) -> dict[str, type[SwitchboardError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def from_wire(wire: Mapping[str, Any]) -> SwitchboardError:
    """The error an RPC server answered with; an unknown code becomes :class:`InternalError`, its text kept."""
    known = _tree(SwitchboardError) | {InternalError.code: InternalError}
    kind = known.get(str(wire.get("code", "")), InternalError)
    fields = [
        FieldProblem(str(f.get("pointer", "")), str(f.get("detail", "")), str(f.get("fix", "")))
        for f in wire.get("fields", ())
    ]
    detail = str(wire.get("detail", ""))
    if issubclass(kind, InvalidId):
        return kind(detail=detail, fields=fields)
    return kind(detail, fields=fields)


def as_public(error: BaseException) -> SwitchboardError:
    """What a caller may see of ``error``: ours as they are, anything else as a plain internal error."""
    return error if isinstance(error, SwitchboardError) else InternalError()
