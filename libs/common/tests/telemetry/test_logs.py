from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import structlog
from pydantic import BaseModel
from switchboard.errors import Unavailable
from switchboard.settings import TelemetrySettings
from switchboard.telemetry import Telemetry, bound, setup, span

pytestmark = pytest.mark.unit


class Lines:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.telemetry: Telemetry = setup("tenant-svc", TelemetrySettings(environment="test"), stream=self.stream)

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def only(self) -> dict[str, Any]:
        (line,) = self.read()
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    made = Lines()
    yield made
    made.telemetry.shutdown()


def test_a_line_is_one_json_object_with_what_identifies_it(lines: Lines) -> None:
    tenant_id, call_id = uuid4(), uuid4()
    with bound(tenant_id=tenant_id, call_id=call_id, nothing=None), span("admit"):
        structlog.get_logger("calls").info("call admitted", reason="open")

    line = lines.only()
    assert (line["event"], line["reason"], line["level"], line["logger"]) == ("call admitted", "open", "info", "calls")
    assert (line["service"], line["environment"]) == ("tenant-svc", "test")
    assert (line["tenant_id"], line["call_id"]) == (tenant_id.hex, call_id.hex)
    assert len(line["trace_id"]) == 32
    assert len(line["span_id"]) == 16
    assert line["timestamp"].endswith("Z")
    assert "nothing" not in line


def test_ids_end_with_their_block(lines: Lines) -> None:
    with bound(tenant_id=uuid4()):
        pass
    structlog.get_logger().info("after")
    assert "tenant_id" not in lines.only()


def test_the_standard_librarys_loggers_come_out_the_same_way(lines: Lines) -> None:
    with bound(tenant_id="t"):
        logging.getLogger("asyncpg").warning("lost %s of %d", "one", 2)

    line = lines.only()
    assert (line["event"], line["logger"], line["tenant_id"]) == ("lost one of 2", "asyncpg", "t")


def test_warnings_are_logged(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # pytest has put its own catcher in between
        logging.captureWarnings(capture=True)
        warnings.warn("careful", UserWarning, stacklevel=1)
    logging.captureWarnings(capture=False)
    assert "careful" in lines.only()["event"]


def test_numbers_and_content_are_masked_wherever_they_come_from(lines: Lines) -> None:
    structlog.get_logger().info("call from +441632960961", transcript="my tooth hurts", room="call_+441632960961")
    logging.getLogger("livekit").info("sip:+441632960961@10.0.0.1 joined")

    text = lines.stream.getvalue()
    assert "960961" not in text
    assert "tooth" not in text


def test_an_exception_is_told_by_type_and_place_and_not_by_what_it_quotes(lines: Lines) -> None:
    class Words(BaseModel):
        said: int

    try:
        Words.model_validate({"said": "my tooth hurts"})
    except ValueError:
        structlog.get_logger().exception("bad message")
    logging.getLogger("lib").error("again", exc_info=ValueError("my tooth hurts"))

    first, second = lines.read()
    assert first["exception"][0]["type"].endswith("ValidationError")
    assert any("test_logs.py" in frame for frame in first["exception"][0]["at"])
    assert second["exception"][0]["type"] == "builtins.ValueError"
    assert "tooth" not in lines.stream.getvalue()


def test_messages_of_our_own_errors_are_kept_and_so_is_the_cause(lines: Lines) -> None:
    try:
        try:
            raise ConnectionRefusedError("nobody listens")
        except OSError as error:
            raise Unavailable("the database can't be reached") from error
    except Unavailable:
        structlog.get_logger().exception("failed")

    described = lines.only()["exception"]
    assert [entry["message"] for entry in described] == ["the database can't be reached", "nobody listens"]


def test_less_than_the_level_is_not_logged(lines: Lines) -> None:
    structlog.get_logger().debug("quiet")
    assert lines.read() == []


def test_libraries_that_log_addresses_with_queries_are_quiet(lines: Lines) -> None:
    logging.getLogger("httpx").info("GET http://x/?token=secret")
    assert lines.read() == []
