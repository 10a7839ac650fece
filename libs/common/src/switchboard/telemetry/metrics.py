"""Prometheus metrics, declared by their OpenTelemetry names: ``http.server.request.duration`` in ``s``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_UNITS = {"s": "seconds", "By": "bytes", "1": "ratio", "": ""}

# One series per value: these would make a series per call or per person, and some are nobody's business.
_FORBIDDEN = frozenset({"call_id", "document_id", "message_id", "trace_id", "user_id", "phone", "number", "caller"})

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The bucket bounds that OpenTelemetry's HTTP conventions advise."""


class Metrics:
    """A process's registry. Labels are attribute names with underscores; their values are drawn from small sets."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """Counts up; exported as ``<name>_total``."""
        return Counter(_prometheus(name, ""), description, _checked(labels), registry=self.registry)

    def gauge(self, name: str, description: str, labels: Sequence[str] = (), unit: str = "") -> Gauge:
        return Gauge(_prometheus(name, unit), description, _checked(labels), registry=self.registry)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        unit: str = "s",
        buckets: Sequence[float] = SECONDS,
    ) -> Histogram:
        return Histogram(
            _prometheus(name, unit), description, _checked(labels), registry=self.registry, buckets=tuple(buckets)
        )

    def render(self) -> bytes:
        """The text that a Prometheus server reads; the client library's own registry (process, bus) comes first."""
        return generate_latest(REGISTRY) + generate_latest(self.registry)


def _prometheus(name: str, unit: str) -> str:
    """``http.server.request.duration`` in ``s`` -> ``http_server_request_duration_seconds``."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a dotted OpenTelemetry metric name such as 'bus.handler.duration'")
    if unit not in _UNITS:
        raise ValueError(f"{unit!r} is not one of the units {', '.join(filter(None, _UNITS))}")
    suffix = _UNITS[unit]
    return name.replace(".", "_") + (f"_{suffix}" if suffix else "")


def _checked(labels: Sequence[str]) -> Sequence[str]:
    wrong = _FORBIDDEN.intersection(labels)
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong))} would make a series per call or person; leave it out")
    return labels
