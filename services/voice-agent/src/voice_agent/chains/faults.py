"""What went wrong with a provider, in the few words that a record and a counter know."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import structlog
from livekit.agents import APIConnectionError, APIStatusError, APITimeoutError
from switchboard.contracts.providers import FaultKind, ProviderFault, ProviderStage

_log = structlog.get_logger(__name__)

_REFUSED = frozenset({"ConnectionRefusedError", "ClientConnectorError", "ClientConnectorDNSError", "ConnectError"})
_RESET = frozenset(
    {
        "ConnectionResetError",
        "BrokenPipeError",
        "ServerDisconnectedError",
        "ClientOSError",
        "ClientConnectionResetError",
        "ReadError",
        "WriteError",
        "RemoteProtocolError",
    }
)
_CUT_OFF = frozenset({"ClientPayloadError", "IncompleteRead", "IncompleteReadError"})
_CLOSED_AS_IF_DONE = (1000, 1001)
"""Closing codes of a WebSocket: plugins put them into the status."""

_UNREADABLE = (json.JSONDecodeError, UnicodeError, KeyError, TypeError, ValueError, AttributeError)


class LinkFailed(Exception):
    """One link of a chain could not do its work. Carries no message: what a provider says may quote the caller."""

    def __init__(self, kind: FaultKind) -> None:
        super().__init__(kind)
        self.kind: FaultKind = kind


def fault_of(error: BaseException) -> FaultKind:
    """``error`` as it came out of a plugin, in the record's words."""
    for cause in _causes(error):
        if isinstance(cause, LinkFailed):
            return cause.kind
        if isinstance(cause, TimeoutError | asyncio.TimeoutError | APITimeoutError):
            return "timeout"
        status = getattr(cause, "status_code", None) or getattr(cause, "status", None)
        if isinstance(status, int) and 400 <= status < 600:
            return "rate_limited" if status == 429 else "refused"
        if status in _CLOSED_AS_IF_DONE:
            return "cut_off"
        name = type(cause).__name__
        if name in _REFUSED:
            return "refused"
        if name in _CUT_OFF:
            return "cut_off"
        if name in _RESET or (isinstance(cause, APIStatusError) and not 400 <= cause.status_code < 600):
            return "reset"
        if isinstance(cause, _UNREADABLE):
            return "bad_answer"
    return "reset" if isinstance(error, APIConnectionError) else "bad_answer"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The innermost first. A suppressed context is looked at too: plugins suppress it to keep keys out of messages."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 8:
        chain.append(current)
        current = current.__cause__ or current.__context__
    # A plain APIError around another says less than what it was raised from.
    yield from reversed(chain)


def note(stage: ProviderStage, endpoint: str, kind: FaultKind, served_by: str) -> ProviderFault:
    """Log a fault; the record's entry for it, from which the orchestrator counts."""
    _log.warning("provider fault", stage=stage, endpoint=endpoint, fault=kind, served_by=served_by)
    return ProviderFault(stage=stage, endpoint=endpoint, fault=kind, served_by=served_by)
