"""JSON log lines, from structlog and from the standard library alike, one object a line."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO
from uuid import UUID

import structlog

from switchboard.errors import SwitchboardError
from switchboard.settings import TelemetrySettings
from switchboard.telemetry.redaction import redact_event
from switchboard.telemetry.traces import trace_ids

_FRAMES = 12

# Their messages are about the program. Others may quote their input (a pydantic error does, so does a unique
# violation).
_SPEAKABLE = (
    SwitchboardError,
    OSError,
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    AssertionError,
    RuntimeError,
    ArithmeticError,
)

# These log addresses with query strings, or every request, at INFO.
_QUIET = ("httpx", "httpcore", "uvicorn.access", "asyncio", "urllib3", "alembic")


def configure_logs(service: str, settings: TelemetrySettings, stream: TextIO | None = None) -> None:
    """Route every logger of the process to ``stream`` (default: standard output) as JSON."""

    def identify(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        event["environment"] = settings.environment
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        identify,
        _add_trace,
        _describe_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact_event,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):  # uvicorn says little at INFO that we don't say
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


@contextmanager
def bound(**values: UUID | str | int | None) -> Iterator[None]:
    """Put ids on every log line of this task: ``bound(tenant_id=..., call_id=...)``. ``None`` is left out."""
    shown = {key: value.hex if isinstance(value, UUID) else value for key, value in values.items() if value is not None}
    with structlog.contextvars.bound_contextvars(**shown):
        yield


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.update(trace_ids())
    return event


def _describe_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace ``exc_info`` by types and places; messages only of errors that don't quote their input."""
    info = event.pop("exc_info", None)
    if info is True:
        error: BaseException | None = sys.exc_info()[1]
    elif isinstance(info, tuple):
        error = info[1]
    else:
        error = info if isinstance(info, BaseException) else None
    if error is not None:
        event["exception"] = _chain(error)
    return event


def _chain(error: BaseException) -> list[dict[str, Any]]:
    """``error`` and what caused it, outermost first."""
    described: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(described) < 5:
        frames = traceback.extract_tb(current.__traceback__)[-_FRAMES:]
        entry: dict[str, Any] = {
            "type": f"{type(current).__module__}.{type(current).__qualname__}",
            "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if isinstance(current, _SPEAKABLE):
            entry["message"] = str(current)
        if isinstance(current, BaseExceptionGroup):
            entry["errors"] = [_chain(part) for part in current.exceptions[:5]]
        described.append(entry)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return described
