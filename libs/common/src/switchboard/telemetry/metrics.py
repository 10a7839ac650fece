"""Prometheus metrics, declared by their OpenTelemetry names: ``http.server.request.duration`` in ``s``.

Names are those of the semantic conventions where these have one (``rpc.server.call.duration``), otherwise below
``switchboard`` or a service's own name. Units are UCUM codes and never part of the name; the exported name gets them as
OpenTelemetry's rules for Prometheus say: ``_seconds``, ``_bytes``, ``_ratio``, and ``_total`` for counters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_SUFFIXES = {"s": "_seconds", "By": "_bytes", "1": "_ratio", "": ""}

# What the exported name gets by itself; a unit or "total" in a name would stand there twice.
_NOT_IN_NAMES = re.compile(r"(?:^|[._])(?:total|count|seconds?|ms|milliseconds|bytes?|ratio)$")

# One series per value: these would make a series per call or per person, and some are nobody's business.
_FORBIDDEN = frozenset(
    {
        *("call_id", "document_id", "message_id", "trace_id", "user_id", "tenant_id", "job_id", "room_sid"),
        *("tenant", "call", "room", "subject", "phone", "number", "caller"),
    }
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The bucket bounds that OpenTelemetry's HTTP and RPC conventions advise."""


class Metrics:
    """A registry of metrics. Labels are attribute names with underscores; their values are drawn from small sets.

    ``ValueError`` for a name, unit or label that is against the conventions.
    """

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter:
        """Counts up; exported as ``<name>_total``."""
        return Counter(exported(name, ""), description, _checked(labels), registry=self.registry)

    def gauge(self, name: str, description: str, labels: Sequence[str] = (), unit: str = "") -> Gauge:
        return Gauge(exported(name, unit), description, _checked(labels), registry=self.registry)

    def histogram(
        self,
        name: str,
        description: str,
        labels: Sequence[str] = (),
        unit: str = "s",
        buckets: Sequence[float] = SECONDS,
    ) -> Histogram:
        return Histogram(
            exported(name, unit), description, _checked(labels), registry=self.registry, buckets=tuple(buckets)
        )

    def render(self) -> bytes:
        """The text that a Prometheus server reads; what libraries and modules of ours declare for the process comes first."""
        return generate_latest(REGISTRY) + generate_latest(self.registry)


PROCESS = Metrics(REGISTRY)
"""For modules that count for the whole process, whichever service it is. A service's own go into its ``Metrics``."""


def exported(name: str, unit: str) -> str:
    """``http.server.request.duration`` in ``s`` -> ``http_server_request_duration_seconds``."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a dotted OpenTelemetry metric name such as 'switchboard.bus.errors'")
    if _NOT_IN_NAMES.search(name):
        raise ValueError(f"{name!r} ends with what the exported name gets by itself; leave it out and give the unit")
    if unit not in _SUFFIXES:
        raise ValueError(f"{unit!r} is not one of the units {', '.join(filter(None, _SUFFIXES))}")
    return name.replace(".", "_") + _SUFFIXES[unit]


def _checked(labels: Sequence[str]) -> Sequence[str]:
    wrong = _FORBIDDEN.intersection(labels)
    if wrong:
        raise ValueError(f"{', '.join(sorted(wrong))} would make a series per call or person; leave it out")
    return labels
