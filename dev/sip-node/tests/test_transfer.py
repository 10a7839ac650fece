"""NOTIFY bodies, what is made of SIP statuses, and one REFER's end."""

from __future__ import annotations

import pytest
from sip_node.sip.message import Request, parse_message
from sip_node.transfer import NotifyError, Referral, parse_notify, psrpc_code, refused

pytestmark = pytest.mark.unit


def notify(body: str, event: str = "refer") -> Request:
    lines = ["NOTIFY sip:x SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa", "CSeq: 7 NOTIFY"]
    lines += [f"Event: {event}"] * bool(event) + [f"Content-Length: {len(body)}", "", body]
    message = parse_message("\r\n".join(lines).encode(), ("10.0.0.1", 5062))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("event", "body", "meant"),
    [
        ("refer", "SIP/2.0 200 OK\r\n", (0, 200, "OK")),
        ("refer;id=12", "SIP/2.0 486 Busy Here\r\nX: y\r\n", (12, 486, "Busy Here")),
        ("Refer", "sip/2.0 100", (0, 100, "")),
    ],
)
def test_notify_about_a_refer(event: str, body: str, meant: tuple[int, int, str]) -> None:
    assert parse_notify(notify(body, event)) == meant


@pytest.mark.parametrize(
    ("event", "body", "code"),
    [
        ("", "SIP/2.0 200 OK", 400),
        ("message-summary", "SIP/2.0 200 OK", 501),
        ("refer;id=x", "SIP/2.0 200 OK", 501),
        ("refer", "", 400),
        ("refer", "SIP/2.0 two OK", 400),
        ("refer", "SIP/2.0 ² OK", 400),
        ("refer", "SIP/2.0 99999999999999999999 OK", 400),
        ("refer", "HTTP/1.1 200 OK", 400),
    ],
)
def test_notify_that_cannot_be_read(event: str, body: str, code: int) -> None:
    with pytest.raises(NotifyError) as caught:
        parse_notify(notify(body, event))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (100, "unknown"),
        (302, "not_found"),
        (305, "invalid_argument"),
        (401, "permission_denied"),
        (404, "not_found"),
        (407, "unauthenticated"),
        (408, "deadline_exceeded"),
        (486, "resource_exhausted"),
        (487, "aborted"),
        (499, "invalid_argument"),
        (500, "failed_precondition"),
        (504, "deadline_exceeded"),
        (599, "failed_precondition"),
        (600, "resource_exhausted"),
        (603, "permission_denied"),
        (699, "invalid_argument"),
    ],
)
def test_statuses_as_error_codes(status: int, code: str) -> None:
    assert psrpc_code(status) == code


def test_refusal_carries_its_status() -> None:
    error = refused(486, "Busy Here", "INVITE failed: ")
    assert str(error) == "INVITE failed: sip status: 486: Busy Here"
    assert (error.details[0].code, error.details[0].status) == (486, "Busy Here")


def test_provisional_and_foreign_notifies_are_no_end() -> None:
    referral = Referral()
    referral.cseq = 4
    referral.notified(0, 183, "Progress")
    referral.notified(3, 200, "OK")
    assert not referral.told.is_set()
    referral.notified(4, 603, "Decline")
    referral.notified(4, 200, "OK")  # the first end counts
    assert referral.told.is_set()
    assert referral.failure is not None
    assert referral.failure.code == "permission_denied"
