"""Digest as livekit-sip checks it."""

from __future__ import annotations

import pytest
from sip_node.sip.digest import Authenticator, ChallengeError, answer_challenge, digest_response

pytestmark = pytest.mark.unit

URI = "sip:18880000000@127.0.0.1"


RIGHT = "s3cret"


def header(nonce: str, username: str = "bob", secret: str = RIGHT, realm: str = "LiveKit") -> str:
    answer = digest_response(username, realm, secret, "INVITE", URI, nonce)
    return f'Digest username="{username}", realm="{realm}", nonce="{nonce}", uri="{URI}", response="{answer}"'


def test_value_of_rfc_2069() -> None:
    """The example of RFC 2069 (with the erratum's response): digest without qop."""
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    uri = "/dir/index.html"
    assert digest_response("Mufasa", "testrealm@host.com", "CircleOfLife", "GET", uri, nonce) == (
        "1949323746fe6a43ef61f9606e7febea"
    )


def test_challenge_and_answers() -> None:
    auth = Authenticator()
    challenge = auth.challenge("call-1", "", now_us=17)
    assert challenge.header == 'Digest realm="LiveKit", nonce="17-call-1", algorithm=MD5'
    assert auth.verify("call-1", header(challenge.nonce), "INVITE", "bob", "s3cret") == ""
    assert auth.verify("call-1", header(challenge.nonce, secret="no"), "INVITE", "bob", "s3cret") == "Unauthorized"
    assert auth.verify("call-1", header(challenge.nonce, username="eve"), "INVITE", "bob", "s3cret") == "Unauthorized"
    renamed = header(challenge.nonce).replace('username="bob"', 'username="eve"')
    assert auth.verify("call-1", renamed, "INVITE", "bob", "s3cret") == "Unauthorized"
    assert auth.verify("call-1", header("another nonce"), "INVITE", "bob", "s3cret") == "Unauthorized"
    assert auth.verify("call-2", header(challenge.nonce), "INVITE", "bob", "s3cret") == "Bad credentials"


@pytest.mark.parametrize("text", ["", "Digest", "Basic Ym9iOnMzY3JldA==", 'Digest username="bob', "Digest =,=,="])
def test_broken_answers(text: str) -> None:
    auth = Authenticator()
    auth.challenge("call-1", "realm", now_us=1)
    assert auth.verify("call-1", text, "INVITE", "bob", "s3cret") != ""


def test_old_challenges_are_forgotten() -> None:
    auth = Authenticator()
    first = auth.challenge("call-0", "", now_us=0)
    for index in range(1, 501):
        auth.challenge(f"call-{index}", "", now_us=index)
    assert auth.verify("call-0", header(first.nonce), "INVITE", "bob", "s3cret") == "Bad credentials"


def test_a_call_id_cannot_break_out_of_the_header() -> None:
    assert Authenticator().challenge('a", realm="x', "", now_us=1).nonce == "1-a, realm=x"


def test_answer_to_a_challenge_of_the_far_side() -> None:
    """RFC 2617's own example."""
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    challenge = f'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="{nonce}", opaque="5c"'
    answer = answer_challenge(challenge, "GET", "/dir/index.html", "Mufasa", "Circle Of Life", "0a4f113b")
    assert 'response="6629fae49393a05397450978507c4ef1"' in answer
    assert 'opaque="5c"' in answer


@pytest.mark.parametrize(
    "challenge",
    [
        "Basic realm=x",
        "Digest",
        'Digest realm="r"',
        'Digest realm="r", nonce="n", algorithm=SHA-256',
        'Digest realm="r", nonce="n", qop="auth-int"',
    ],
)
def test_challenge_that_cannot_be_answered(challenge: str) -> None:
    with pytest.raises(ChallengeError):
        answer_challenge(challenge, "INVITE", "sip:1@x", "u", "p", "c")
