"""What LiveKit may ask of the node, and its bus's server side, without Redis."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit.protocol.sip import SIPStatus
from sip_node.config import RedisConfig
from sip_node.internal import SipInternal
from sip_node.psrpc import messages
from sip_node.psrpc.server import ANY_TOPIC, Method, RpcServer, ServiceError
from sip_node.sip.dialog import LocalIdentity

pytestmark = pytest.mark.unit

NOW = 1_000
LATER = NOW + 60_000_000_000


class FakeLeg:
    """A call whose transfer ends when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], bool, float]] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def transfer(self, target: str, headers: Mapping[str, str], dialtone: bool, timeout_s: float) -> None:
        self.asked.append((target, dict(headers), dialtone, timeout_s))
        await self.done


def internal(at_capacity: bool = False, **legs: FakeLeg) -> SipInternal:
    server: Any = SimpleNamespace(at_capacity=at_capacity, leg=legs.get)
    services: Any = SimpleNamespace(rng=random.Random(1))
    return SipInternal(server, services, LocalIdentity("127.0.0.1", 5060, 1.0), lambda: NOW)


def asked(target: str = "tel:+1", **fields: Any) -> Any:
    return messages.TransferSIPParticipantRequest(sip_call_id="SCL_1", transfer_to=target, **fields)


async def test_no_call_out_at_the_cap() -> None:
    with pytest.raises(ServiceError) as caught:
        await internal(at_capacity=True).create(messages.CreateSIPParticipantRequest(), LATER)
    assert caught.value.code == "unavailable"


async def test_methods_are_wanted_by_call_and_until_the_end() -> None:
    service = internal(SCL_1=FakeLeg())
    create, transfer = service.methods("north")
    assert (create.topic, transfer.topic) == ("north", ANY_TOPIC)
    assert transfer.wants(asked())
    assert not transfer.wants(messages.TransferSIPParticipantRequest(sip_call_id="SCL_2"))
    assert create.wants(None)
    service.stopping = True
    assert not create.wants(None)
    assert transfer.wants(asked())


async def test_transfer_asked_twice_is_one() -> None:
    leg = FakeLeg()
    service = internal(SCL_1=leg)
    first, second = (asyncio.create_task(service.transfer(asked(headers={"X": "1"}), LATER)) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="already being transferred elsewhere"):
        await service.transfer(asked("tel:+2"), LATER)
    leg.done.set_exception(ServiceError("not_found", "gone"))
    for task in (first, second):
        with pytest.raises(ServiceError, match="gone"):
            await task
    assert leg.asked == [("tel:+1", {"X": "1"}, False, 120.0)]
    leg.done = asyncio.get_running_loop().create_future()
    leg.done.set_result(None)
    await service.transfer(asked("tel:+2"), LATER)  # the first one is over


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked(""), "invalid_argument"),
        (asked("tel:+1\r\nX: y"), "invalid_argument"),
        (messages.TransferSIPParticipantRequest(sip_call_id="SCL_9", transfer_to="tel:+1"), "not_found"),
    ],
)
async def test_transfers_that_make_no_sense(request_: Any, code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        await internal(SCL_1=FakeLeg()).transfer(request_, LATER)
    assert caught.value.code == code


async def test_who_asked_for_a_transfer_waits_no_longer_than_it_said() -> None:
    leg = FakeLeg()
    service = internal(SCL_1=leg)
    with pytest.raises(ServiceError) as caught:
        await service.transfer(asked(), NOW)
    assert caught.value.code == "canceled"
    leg.done.set_result(None)


class Bus(RpcServer):
    """A server whose publications are kept; `claimed_by` answers every claim at once."""

    def __init__(self, claimed_by: str = "SRV_1") -> None:
        super().__init__(RedisConfig(address="127.0.0.1:1"), "SIPInternal", "SRV_1", lambda: NOW)
        self.published: list[tuple[str, Any]] = []
        self._claimed_by = claimed_by

    async def _publish(self, message: Any, *parts: str) -> None:
        self.published.append(("|".join(parts), message))
        if message.DESCRIPTOR.name == "ClaimRequest":
            self.deliver(messages.ClaimResponse(request_id=message.request_id, server_id=self._claimed_by), "RCLAIM")

    def deliver(self, message: Any, kind: str = "REQ") -> None:
        self._deliver({"channel": f"SIPInternal|Echo|{kind}".encode(), "data": messages.seal(message)})

    async def ask(self, raw: bytes, expiry: int = LATER) -> list[str]:
        self.deliver(messages.Request(request_id="r", client_id="c", expiry=expiry, raw_request=raw))
        await asyncio.gather(*self._tasks)
        return [f"{name} {message.DESCRIPTOR.name}" for name, message in self.published]


def echo(handle: Any, wants: bool = True) -> Method:
    return Method("Echo", messages.TransferSIPParticipantRequest, handle, lambda _: wants)


async def served(bus: Bus, method: Method, raw: bytes = b"", expiry: int = LATER) -> list[str]:
    bus._methods = {"Echo": method}
    return await bus.ask(raw, expiry)


async def same(body: Any, expiry_ns: int) -> Any:
    assert expiry_ns == LATER
    return body


async def test_request_is_claimed_and_answered() -> None:
    bus = Bus()
    raw = asked().SerializeToString()
    assert await served(bus, echo(same), raw) == ["SIPInternal|c|CLAIM ClaimRequest", "SIPInternal|c|RES Response"]
    response = bus.published[-1][1]
    assert (response.request_id, response.server_id, response.raw_response, response.error) == ("r", "SRV_1", raw, "")


async def test_error_carries_code_words_and_details() -> None:
    async def refuse(_: Any, __: int) -> Any:
        raise ServiceError("not_found", "no such call", SIPStatus(code=cast("Any", 404), status="Not Found"))

    bus = Bus()
    await served(bus, echo(refuse))
    response = bus.published[-1][1]
    assert (response.code, response.error) == ("not_found", "no such call")
    assert response.error_details[0].type_url == "type.googleapis.com/livekit.SIPStatus"


async def test_unforeseen_error_says_only_its_kind() -> None:
    async def fail(_: Any, __: int) -> Any:
        raise KeyError("15551234567")

    bus = Bus()
    await served(bus, echo(fail))
    assert (bus.published[-1][1].code, bus.published[-1][1].error) == ("internal", "KeyError")


async def test_unreadable_request_is_refused_without_a_claim() -> None:
    bus = Bus()
    assert await served(bus, echo(same), b"\xff\xff") == ["SIPInternal|c|RES Response"]
    assert bus.published[-1][1].code == "malformed_request"


async def test_silence_where_nothing_is_to_be_said() -> None:
    assert await served(Bus(), echo(same, wants=False)) == []
    assert await served(Bus(), echo(same), expiry=NOW) == []
    assert await served(Bus(claimed_by="SRV_2"), echo(same)) == ["SIPInternal|c|CLAIM ClaimRequest"]
    bus = Bus()
    bus._deliver({"channel": b"SIPInternal|Echo|REQ", "data": b"foreign"})
    bus.deliver(messages.Request(request_id="r", expiry=LATER))  # of a method that isn't served
    assert bus.published == []
