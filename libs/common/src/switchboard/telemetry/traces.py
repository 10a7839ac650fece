"""OpenTelemetry traces: where they go, and how they cross the bus (W3C trace context in message headers)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from switchboard.settings import TelemetrySettings
from switchboard.telemetry.redaction import mask_numbers

# No baggage: its values would go to everybody we call, carriers and providers included.
_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = "switchboard"
_HEADERS = ("traceparent", "tracestate")

Attributes: TypeAlias = Mapping[str, str | bool | int | float]


class Tracing:
    """The tracer provider of a process."""

    current: Tracing | None = None

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer(_TRACER)

    def shutdown(self) -> None:
        self.provider.shutdown()
        if Tracing.current is self:
            Tracing.current = None


def configure_traces(service: str, settings: TelemetrySettings) -> Tracing:
    """Spans go to the collector and to the file that the settings name; to neither, they cost next to nothing."""
    resource = Resource.create({"service.name": service, "deployment.environment.name": settings.environment})
    provider = TracerProvider(resource=resource)
    if settings.otlp_endpoint is not None:
        # Here, since most processes of a test run have no collector and the import takes a quarter of a second.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint.rstrip("/") + "/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(Redacted(exporter)))
    if settings.spans_file is not None:
        # At once and not in batches: a test reads the file, and a process that is killed has written what it finished.
        provider.add_span_processor(SimpleSpanProcessor(Redacted(SpanFile(settings.spans_file))))
    tracing = Tracing(provider)
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        # Libraries that trace by themselves use the global one, which can be set once in a process.
        trace.set_tracer_provider(provider)
    Tracing.current = tracing
    return tracing


def _tracer() -> trace.Tracer:
    return Tracing.current.tracer if Tracing.current is not None else trace.get_tracer(_TRACER)


def context_headers() -> dict[str, str]:
    """The current trace as message headers (``traceparent``); empty outside a trace."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


def trace_ids() -> dict[str, str]:
    """``trace_id`` and ``span_id`` of the current span, in hex; empty outside a trace."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes | None = None
) -> AbstractContextManager[Span]:
    """A span under the current one. ``name`` is one of a few; ids and no content go into ``attributes``."""
    return _record(name, None, kind, attributes)


def remote_span(
    name: str,
    headers: Mapping[str, str],
    *,
    kind: SpanKind = SpanKind.CONSUMER,
    attributes: Attributes | None = None,
) -> AbstractContextManager[Span]:
    """A span under the one that sent ``headers``; a new trace when they carry none, or one that can't be read."""
    carrier = {key.lower(): value for key, value in headers.items() if key.lower() in _HEADERS}
    return _record(name, carrier, kind, attributes)


@contextmanager
def _record(
    name: str, carrier: Mapping[str, str] | None, kind: SpanKind, attributes: Attributes | None
) -> Iterator[Span]:
    parent = None if carrier is None else _PROPAGATOR.extract(dict(carrier))
    current = _tracer().start_span(name, parent, kind, attributes)
    held = attach(trace.set_span_in_context(current))
    try:
        yield current
    except BaseException as error:
        # The message of an exception may be content, so the span gets its type only.
        current.set_attribute("error.type", type(error).__qualname__)
        if isinstance(error, Exception):
            current.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        detach(held)
        current.end()


class Redacted(SpanExporter):
    """A net under the rule that spans hold no content: libraries that trace by themselves don't know the rule.

    Attributes with a ``pii`` segment and events (an exception's message may quote its input) are left out, and what looks
    like a phone number is masked.
    """

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_redacted(finished) for finished in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _redacted(finished: ReadableSpan) -> ReadableSpan:
    kept = {
        key: mask_numbers(value) if isinstance(value, str) else value
        for key, value in (finished.attributes or {}).items()
        if "pii" not in key.split(".")
    }
    return ReadableSpan(
        name=mask_numbers(finished.name),
        context=finished.get_span_context(),
        parent=finished.parent,
        resource=finished.resource,
        attributes=kept,
        links=finished.links,
        kind=finished.kind,
        instrumentation_scope=finished.instrumentation_scope,
        status=Status(finished.status.status_code),
        start_time=finished.start_time,
        end_time=finished.end_time,
    )


class SpanFile(SpanExporter):
    """Appends one JSON object per finished span; several processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._descriptor is None:
            return SpanExportResult.FAILURE
        for finished in spans:
            line = json.dumps(_plain(finished), separators=(",", ":"), default=str) + "\n"
            os.write(self._descriptor, line.encode())  # one write: O_APPEND keeps lines whole between processes
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _plain(finished: ReadableSpan) -> dict[str, object]:
    """Times in nanoseconds since 1970; ids in hex; ``parent_span_id`` None for a root."""
    context = finished.get_span_context()
    assert context is not None
    return {
        "service": finished.resource.attributes.get("service.name"),
        "name": finished.name,
        "kind": finished.kind.name.lower(),
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "parent_span_id": f"{finished.parent.span_id:016x}" if finished.parent is not None else None,
        "start_ns": finished.start_time,
        "end_ns": finished.end_time,
        "status": finished.status.status_code.name.lower(),
        "attributes": dict(finished.attributes or {}),
    }
