"""Digest authentication of INVITE the way livekit-sip does it: 407 with a challenge, 401 when the answer is wrong."""

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
