"""Digest authentication of INVITE the way livekit-sip does it: 407 with a challenge, 401 when the answer is wrong; and the
answer to a challenge of the far side."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from aiosipua.headers import parse_auth

DEFAULT_REALM: Final = "LiveKit"
_MAX_CHALLENGES: Final = 500


@dataclass(frozen=True)
class Challenge:
    """What was sent in Proxy-Authenticate."""

    realm: str
    nonce: str

    @property
    def header(self) -> str:
        return f'Digest realm="{self.realm}", nonce="{self.nonce}", algorithm=MD5'


class ChallengeError(ValueError):
    """The far side's challenge can't be answered."""


def answer_challenge(header: str, method: str, uri: str, username: str, password: str, cnonce: str) -> str:
    """The credentials (RFC 2617, MD5, with qop "auth" when it is offered) for WWW- or Proxy-Authenticate. Raises
    ChallengeError."""
    try:
        params = parse_auth(header, credentials=False).params
        realm, nonce = params["realm"], params["nonce"]
    except (ValueError, AttributeError, KeyError) as error:
        raise ChallengeError("unreadable challenge") from error
    if (params.get("algorithm") or "MD5").upper() != "MD5":
        raise ChallengeError("unknown algorithm")
    qops = [item.strip() for item in params.get("qop", "").split(",") if item.strip()]
    if qops and "auth" not in qops:
        raise ChallengeError("unknown qop")
    parts = {"username": username, "realm": realm, "nonce": nonce, "uri": uri}
    text = ", ".join(f'{name}="{_quoted(value)}"' for name, value in parts.items()) + ", algorithm=MD5"
    if not qops:
        return f'Digest {text}, response="{digest_response(username, realm, password, method, uri, nonce)}"'
    count = "00000001"
    a1, a2 = _md5(f"{username}:{realm}:{password}"), _md5(f"{method}:{uri}")
    answer = _md5(f"{a1}:{nonce}:{count}:{cnonce}:auth:{a2}")
    opaque = f', opaque="{_quoted(params["opaque"])}"' if params.get("opaque") else ""
    return f'Digest {text}, cnonce="{cnonce}", qop=auth, nc={count}, response="{answer}"{opaque}'


def digest_response(username: str, realm: str, password: str, method: str, uri: str, nonce: str) -> str:
    """RFC 2617 without qop, as 32 hexadecimal digits."""
    a1 = _md5(f"{username}:{realm}:{password}")
    return _md5(f"{a1}:{nonce}:{_md5(f'{method}:{uri}')}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Authenticator:
    """Keeps the open challenge of each Call-ID; the oldest are forgotten beyond 500."""

    def __init__(self) -> None:
        self._challenges: OrderedDict[str, Challenge] = OrderedDict()

    def challenge(self, call_id: str, realm: str, now_us: int) -> Challenge:
        """A new challenge for this Call-ID; `now_us` (microseconds) makes the nonce unique."""
        challenge = Challenge(realm or DEFAULT_REALM, f"{now_us}-{_quoted(call_id)}")
        self._challenges.pop(call_id, None)
        while len(self._challenges) >= _MAX_CHALLENGES:
            self._challenges.popitem(last=False)
        self._challenges[call_id] = challenge
        return challenge

    def verify(self, call_id: str, header: str, method: str, username: str, password: str) -> str:
        """ "" when `header` (Proxy-Authorization) answers this Call-ID's challenge, else the reason phrase of the 401."""
        try:
            params = parse_auth(header, credentials=True).params
        except (ValueError, AttributeError):
            return "Bad credentials"
        if params.get("username") != username:
            return "Unauthorized"
        challenge = self._challenges.get(call_id)
        if challenge is None:
            return "Bad credentials"
        uri = params.get("uri", "")
        expected = digest_response(username, challenge.realm, password, method, uri, challenge.nonce)
        return "" if hmac.compare_digest(expected.encode(), params.get("response", "").encode()) else "Unauthorized"


def _quoted(text: str) -> str:
    return text.replace("\\", "").replace('"', "")
