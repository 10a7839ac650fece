"""Logs (JSON, no content), traces (OpenTelemetry, W3C context) and metrics (Prometheus) of a process.

::

    telemetry = setup("tenant-svc", settings.telemetry)
    with bound(tenant_id=tenant_id, call_id=call_id), span("admit"):
        structlog.get_logger().info("call admitted", reason="open")
    telemetry.shutdown()

What people say, who they are and their numbers never go into a log line, a span or a label. The redaction in
:mod:`switchboard.telemetry.redaction` is a net under that rule, not a licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from switchboard.settings import TelemetrySettings
from switchboard.telemetry.logs import bound, configure_logs
from switchboard.telemetry.metrics import PROCESS, Metrics
from switchboard.telemetry.traces import Tracing, configure_traces, context_headers, remote_span, span, trace_ids


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A process's telemetry, set up."""

    tracing: Tracing

    def shutdown(self) -> None:
        """Send what has not been sent yet; a few seconds at most."""
        self.tracing.shutdown()


def setup(service: str, settings: TelemetrySettings, *, stream: TextIO | None = None) -> Telemetry:
    """Configure this process; a later call replaces an earlier one. Log lines go to ``stream`` (standard output)."""
    configure_logs(service, settings, stream)
    return Telemetry(configure_traces(service, settings))


__all__ = [
    "PROCESS",
    "Metrics",
    "Telemetry",
    "bound",
    "context_headers",
    "remote_span",
    "setup",
    "span",
    "trace_ids",
]
