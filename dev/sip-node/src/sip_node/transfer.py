"""REFER and what is said of it in NOTIFY; SIP statuses as the errors LiveKit's clients see."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from livekit.protocol.sip import SIPStatus

from sip_node.psrpc.server import ServiceError
from sip_node.sip.message import Request

_EVENT: Final = re.compile(r"refer(?:;id=(\d+))?", re.IGNORECASE)
_PERMISSION = (401, 402, 403, 433, 470, 603, 607, 608)
_NOT_FOUND = (301, 302, 404, 410, 481, 604)
_EXHAUSTED = (440, 480, 486, 600)
_UNAUTHENTICATED = (407, 428, 436, 437, 438, 494)
_PRECONDITION = (409, 412, 482, 483)
_CODES: Final = {
    **dict.fromkeys(_PERMISSION, "permission_denied"),
    **dict.fromkeys(_NOT_FOUND, "not_found"),
    **dict.fromkeys(_EXHAUSTED, "resource_exhausted"),
    **dict.fromkeys(_UNAUTHENTICATED, "unauthenticated"),
    **dict.fromkeys(_PRECONDITION, "failed_precondition"),
    **dict.fromkeys((408, 504), "deadline_exceeded"),
    **dict.fromkeys((487, 491), "aborted"),
    **dict.fromkeys((505, 513), "invalid_argument"),
    416: "out_of_range",
}


def psrpc_code(status: int) -> str:
    """The error code LiveKit makes of a SIP status."""
    if status in _CODES:
        return _CODES[status]
    if status < 300:
        return "unknown"
    return "failed_precondition" if 500 <= status < 600 else "invalid_argument"


def refused(status: int, phrase: str, prefix: str) -> ServiceError:
    """A refusal by the far side, with its status as the API's metadata. `phrase` is the answer's."""
    text = f"{prefix}sip status: {status}" + (f": {phrase}" if phrase else "")
    return ServiceError(psrpc_code(status), text, SIPStatus(code=status, status=phrase))  # type: ignore[arg-type]


class NotifyError(ValueError):
    """The NOTIFY can't be read. `code` is what it is answered with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def parse_notify(request: Request) -> tuple[int, int, str]:
    """CSeq of the REFER (0: none named), status and phrase. Raises NotifyError."""
    event = request.header("event")
    if not event:
        raise NotifyError(400, "no event in NOTIFY request")
    match = _EVENT.fullmatch(event)
    if match is None:
        raise NotifyError(501, "unknown event")
    words = request.body.decode("utf-8", "replace").split(" ", 2)
    if len(words) < 2:
        raise NotifyError(400, "invalid notify body: not enough tokens")
    if words[0].upper() != "SIP/2.0":
        raise NotifyError(400, "invalid notify body: wrong prefix or SIP version")
    digits = words[1].strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        raise NotifyError(400, "invalid notify body: the status is no number")
    phrase = words[2].splitlines()[0] if len(words) > 2 and words[2] else ""
    return int(match.group(1) or 0), int(digits), phrase


class Referral:
    """One REFER until its end; `failure` says why when it is no success."""

    def __init__(self) -> None:
        self.cseq = 0
        self.told = asyncio.Event()
        self.failure: ServiceError | None = None

    def notified(self, cseq: int, code: int, phrase: str) -> None:
        """A NOTIFY came: 1xx is no end, another REFER's is ignored."""
        if (cseq and self.cseq and cseq != self.cseq) or code < 200 or self.told.is_set():
            return
        if code != 200:
            self.failure = refused(code, phrase, "call transfer failed: ")
        self.told.set()
