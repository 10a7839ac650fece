"""The endpoint without a socket: retransmissions, CANCEL, BYE."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sip_node.sip.dialog import LocalIdentity
from sip_node.sip.endpoint import Endpoint
from sip_node.sip.inbound_dialog import InboundDialog
from sip_node.sip.message import Request, build_response
from sip_node.sip.transaction import ServerTransaction, Timers

pytestmark = pytest.mark.unit

SOURCE = ("192.0.2.7", 5062)
FAST = Timers(t1=0.02, t2=0.04)
LOCAL = LocalIdentity("127.0.0.1", 5060, 0.05)


class FakeTransport:
    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[str, int]]] = []

    def sendto(self, data: bytes, destination: tuple[str, int]) -> None:
        self.sent.append((data.decode(), destination))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to close."""


class Fixture:
    """An endpoint whose INVITEs become dialogs."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.dialogs: list[InboundDialog] = []
        self.acks: list[Request] = []
        self.endpoint = Endpoint(self, FAST)
        self.endpoint.connection_made(self.transport)  # type: ignore[arg-type]

    def on_request(self, request: Request, transaction: ServerTransaction) -> None:
        if request.method == "INVITE":
            self.dialogs.append(InboundDialog(self.endpoint, transaction, LOCAL, f"SCL_{len(self.dialogs)}"))
        else:
            transaction.respond(200, build_response(request, 200, "OK", to_tag="t"))

    def on_ack(self, request: Request) -> None:
        self.acks.append(request)

    def receive(self, method: str = "INVITE", branch: str = "z9hG4bKa", **fields: Any) -> None:
        self.endpoint.datagram_received(request(method, branch, **fields), SOURCE)

    @property
    def lines(self) -> list[str]:
        """First lines of everything sent."""
        return [text.split("\r\n", 1)[0] for text, _ in self.transport.sent]


def request(method: str, branch: str, cseq: int = 1, contact: str = "<sip:200@10.0.0.9:5099>") -> bytes:
    return (
        f"{method} sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5062;branch={branch}\r\n"
        f"From: <sip:200@10.0.0.1>;tag=f\r\nTo: <sip:100@127.0.0.1>\r\nCall-ID: c1\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: {contact}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def test_retransmitted_invite_gets_the_last_answer_and_is_one_dialog() -> None:
    fixture = Fixture()
    fixture.receive()
    fixture.receive()  # before any answer: absorbed
    fixture.dialogs[0].respond(180, "Ringing")
    fixture.receive()
    assert len(fixture.dialogs) == 1
    assert fixture.lines == ["SIP/2.0 180 Ringing"] * 2
    assert fixture.transport.sent[0] == fixture.transport.sent[1]


async def test_branch_without_cookie_is_told_apart_by_call() -> None:
    fixture = Fixture()
    fixture.receive(branch="old")
    fixture.receive(branch="old")
    fixture.receive(branch="old", cseq=2)
    assert len(fixture.dialogs) == 2


async def test_ringing_repeats_until_something_else_is_answered() -> None:
    fixture = Fixture()
    fixture.receive()
    fixture.dialogs[0].start_ringing()
    await asyncio.wait_for(_until(lambda: len(fixture.lines) >= 3), 2)
    fixture.dialogs[0].reject(486, "Rejected")
    count = len(fixture.lines)
    fixture.dialogs[0].respond(180, "Ringing")
    fixture.dialogs[0].reject(500, "")
    assert fixture.lines[-1] == "SIP/2.0 486 Rejected"
    assert len(fixture.lines) == count


async def test_cancel_is_answered_while_ringing_only() -> None:
    fixture = Fixture()
    fixture.receive("CANCEL")
    assert fixture.lines == []
    fixture.receive()
    fixture.receive("CANCEL")
    assert fixture.lines == ["SIP/2.0 200 OK"]
    assert fixture.dialogs[0].cancelled.is_set()
    fixture.receive("INVITE", "z9hG4bKb")
    fixture.dialogs[1].drop()
    fixture.receive("CANCEL", "z9hG4bKb")
    assert fixture.lines == ["SIP/2.0 200 OK"]


async def test_ack_of_an_error_is_not_the_calls_business() -> None:
    fixture = Fixture()
    fixture.receive()
    fixture.receive("ACK")  # while proceeding: nonsense
    assert fixture.acks == []
    fixture.receive("ACK", "z9hG4bKnew")
    assert len(fixture.acks) == 1


async def test_other_requests_are_answered_alike_when_repeated() -> None:
    fixture = Fixture()
    fixture.receive("OPTIONS")
    fixture.receive("OPTIONS")
    assert fixture.transport.sent[0] == fixture.transport.sent[1]
    await asyncio.wait_for(_until(lambda: fixture.endpoint.open_transactions == 0), 3)


async def test_200_is_repeated_until_the_ack() -> None:
    fixture = Fixture()
    fixture.receive()
    accepting = asyncio.create_task(fixture.dialogs[0].accept(b"v=0", {}))
    await asyncio.wait_for(_until(lambda: len(fixture.lines) == 2), 2)
    fixture.receive()  # absorbed: the dialog repeats by itself
    fixture.dialogs[0].acked.set()
    await accepting
    assert fixture.lines == ["SIP/2.0 200 OK"] * 2


async def test_bye_goes_to_the_contact_and_is_repeated_until_answered() -> None:
    fixture = Fixture()
    fixture.receive()
    dialog = fixture.dialogs[0]
    dialog.acked.set()
    await dialog.accept(b"v=0", {})
    hanging_up = asyncio.create_task(dialog.bye({"X-Why": "done"}))
    await asyncio.wait_for(_until(lambda: len(fixture.lines) >= 4), 2)
    bye, destination = fixture.transport.sent[-1]
    assert destination == ("10.0.0.9", 5099)
    assert bye.startswith("BYE sip:200@10.0.0.9:5099 SIP/2.0\r\n")
    for line in ("From: <sip:100@127.0.0.1>;tag=SCL_0", "To: <sip:200@10.0.0.1>;tag=f", "CSeq: 2 BYE", "X-Why: done"):
        assert f"\r\n{line}\r\n" in bye
    via = next(line for line in bye.split("\r\n") if line.startswith("Via"))
    fixture.endpoint.datagram_received(
        f"SIP/2.0 200 OK\r\n{via}\r\nCSeq: 2 BYE\r\nCall-ID: c1\r\n\r\n".encode(), SOURCE
    )
    assert await asyncio.wait_for(hanging_up, 2) == 200
    assert await dialog.bye({}) is None


async def test_bye_without_an_answer_gives_up() -> None:
    fixture = Fixture()
    fixture.receive(contact="<sip:200@some.host>")
    dialog = fixture.dialogs[0]
    dialog.acked.set()
    await dialog.accept(b"v=0", {})
    assert await asyncio.wait_for(dialog.bye({}), 5) is None
    assert fixture.transport.sent[-1][1] == SOURCE  # a host name is not looked up


async def test_a_failing_handler_does_not_stop_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Fixture()

    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(fixture, "on_request", fail)
    fixture.receive("OPTIONS", "z9hG4bKx")
    monkeypatch.undo()
    fixture.receive("OPTIONS", "z9hG4bKy")
    assert fixture.lines == ["SIP/2.0 200 OK"]


async def _until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.005)
