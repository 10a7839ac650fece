"""JSON logs keyed by LiveKit's call id (SCL_...); never a number, a room name or an identity, which contain one."""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from sip_node.config import LoggingConfig

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NUMBER: Final = re.compile(r"\+?\d{6,}")


def call_key(sip_call_id: str) -> str:
    """A SIP Call-ID as it may be logged: some carriers put numbers or addresses into it."""
    return hashlib.sha256(sip_call_id.encode("utf-8", "replace")).hexdigest()[:12]


def hide_numbers(text: str) -> str:
    """`text` with every run of six or more digits hidden."""
    return _NUMBER.sub("<number>", text)


def _hide_in_foreign(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Libraries (rtc, redis, asyncio) log room names and addresses as they like.
    event["event"] = hide_numbers(str(event.get("event", "")))
    if "exception" in event:
        event["exception"] = hide_numbers(str(event["exception"]))
    return event


def configure_logging(config: LoggingConfig) -> None:
    """structlog and the standard library both write one line per event to standard error."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: Any = structlog.processors.JSONRenderer() if config.json_ else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _hide_in_foreign],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[config.level])
    # The SDK calls every deleted room an error of its data channels; what matters is logged by the node itself.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiosipua").setLevel(logging.ERROR)
