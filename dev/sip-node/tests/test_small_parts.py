"""Attributes, tokens, waiting, logs, health texts."""

from __future__ import annotations

import asyncio
import json
import logging

import jwt
import pytest
import structlog
from livekit.protocol.room import RoomConfiguration
from sip_node.attributes import attributes_to_headers, headers_to_attributes, remote_headers
from sip_node.config import LoggingConfig
from sip_node.dispatch import Dispatch, DispatchResult
from sip_node.health import health_answer, metrics_answer
from sip_node.logs import call_key, configure_logging, hide_numbers
from sip_node.room import Credentials, join_token
from sip_node.sip.message import Request, parse_message
from sip_node.waiting import ExpiringCache, first_set

pytestmark = pytest.mark.unit

SECRET = "a secret of at least thirty-two characters"


def invite() -> Request:
    data = (
        b"INVITE sip:100@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:2@h>;tag=f\r\n"
        b"To: <sip:1@h>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nX-Clinic: north\r\nx-twilio-callsid: CA1\r\nSubject: hi\r\n\r\n"
    )
    message = parse_message(data, ("127.0.0.1", 1))
    assert isinstance(message, Request)
    return message


def test_headers_to_attributes() -> None:
    base = {"sip.callTag": "f", "sip.callIDFull": "c1", "sip.twilio.callSid": "CA1"}
    assert headers_to_attributes(invite(), {}, 0) == base
    assert headers_to_attributes(invite(), {"X-CLINIC": "clinic", "X-None": "none"}, 0) == {**base, "clinic": "north"}
    x_headers = {"sip.h.x-clinic": "north", "sip.h.x-twilio-callsid": "CA1"}
    assert headers_to_attributes(invite(), {}, 1) == {**base, **x_headers}
    everything = headers_to_attributes(invite(), {}, 2)
    assert everything["sip.h.subject"] == "hi"
    assert everything["sip.h.call-id"] == "c1"


def test_attributes_to_headers() -> None:
    mapping = {"a": "X-A", "missing": "X-M"}
    assert attributes_to_headers({"a": "1", "b": "2"}, mapping, {"X-Fixed": "3"}) == {"X-Fixed": "3", "X-A": "1"}


def test_remote_headers() -> None:
    assert remote_headers(invite(), ["x-clinic", "via"], []) == {"X-Clinic": "north"}
    assert set(remote_headers(invite(), [], ["SUBJECT"])) == {"From", "To", "Call-ID", "X-Clinic", "x-twilio-callsid"}


def test_join_token() -> None:
    config = RoomConfiguration()
    config.agents.add(agent_name="receptionist", metadata="ref")
    dispatch = Dispatch(
        DispatchResult.ACCEPT,
        room_name="call_1",
        identity="sip_1",
        name="Phone 1",
        metadata="m",
        room_preset="preset",
        room_config=config,
    )
    text = join_token(Credentials("ws://h", "key", SECRET), dispatch, {"a": "b"})
    claims = jwt.decode(text, SECRET, algorithms=["HS256"])
    assert (claims["sub"], claims["name"], claims["metadata"], claims["kind"]) == ("sip_1", "Phone 1", "m", "sip")
    assert claims["attributes"] == {"a": "b"}
    assert claims["roomPreset"] == "preset"
    assert claims["roomConfig"]["agents"] == [{"agentName": "receptionist", "metadata": "ref"}]
    video = claims["video"]
    assert (video["roomJoin"], video["room"], video["canUpdateOwnMetadata"]) == (True, "call_1", True)


async def test_first_set() -> None:
    one, two = asyncio.Event(), asyncio.Event()
    assert await first_set({"one": one, "two": two}, 0.01) == ""
    two.set()
    assert await first_set({"one": one, "two": two}) == "two"
    one.set()
    assert await first_set({"one": one, "two": two}) == "one"
    before = len(asyncio.all_tasks())
    three = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, three.set)
    assert await first_set({"three": three, "never": asyncio.Event()}, 2) == "three"
    assert len(asyncio.all_tasks()) == before


def test_cache_forgets() -> None:
    now = [0.0]
    cache: ExpiringCache[str, int] = ExpiringCache(2, 60.0, lambda: now[0])
    cache.put("a", 1)
    now[0] = 59.0
    assert cache.get("a") == 1
    now[0] = 60.0
    assert cache.get("a") is None
    for key in ("b", "c", "d"):
        cache.put(key, 2)
    assert (cache.get("b"), cache.get("d")) == (None, 2)


def test_numbers_are_hidden() -> None:
    assert hide_numbers("room call_+15550001111_x sip_15550001111") == "room call_<number>_x sip_<number>"
    assert call_key("abc") == "ba7816bf8f01"


def test_foreign_logs_carry_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    try:
        configure_logging(LoggingConfig.model_validate({"json": True, "level": "info"}))
        logging.getLogger("somebody").warning("joined call_+15550001111")
        line = json.loads(capsys.readouterr().err)
        assert line["event"] == "joined call_<number>"
        assert line["level"] == "warning"
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.configure(**configured)


def test_health_and_metrics_texts() -> None:
    assert health_answer(stopping=False, at_capacity=False) == (200, "text/plain", "OK")
    assert health_answer(stopping=False, at_capacity=True) == (429, "text/plain", "UnderLoad")
    assert health_answer(stopping=True, at_capacity=True) == (503, "text/plain", "Stopped")
    _, _, text = metrics_answer({"calls": 2}, {"calls_total": 5})
    assert "# TYPE sip_node_calls gauge\nsip_node_calls 2\n" in text
    assert "# TYPE sip_node_calls_total counter\nsip_node_calls_total 5\n" in text
