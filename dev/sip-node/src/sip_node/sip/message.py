"""SIP messages: parsed by aiosipua, written here.

aiosipua's model stays inside this package; the rest of the node sees `Request`, `Response` and `Uri`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiosipua.headers import parse_address, parse_params, parse_uri
from aiosipua.message import SipMessage, SipRequest, SipResponse

ALLOW = "INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, MESSAGE, OPTIONS, INFO, SUBSCRIBE"
MAGIC_COOKIE = "z9hG4bK"
# The reason phrases livekit-sip writes where it gives none itself.
_DEFAULT_REASONS = {400: "Bad Request", 500: "Internal Server Error", 501: "Not Implemented"}

Address = tuple[str, int]


class MessageError(ValueError):
    """The datagram is no SIP message the node can answer."""


@dataclass(frozen=True)
class Uri:
    """`sip:user@host:port;params`; user and host are empty and port is 0 where the URI has none."""

    user: str = ""
    host: str = ""
    port: int = 0
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Via:
    """The fields of a Via header the node uses; `params` has lower-case keys and empty values for flags."""

    transport: str
    host: str
    port: int
    params: Mapping[str, str]
    text: str

    @property
    def branch(self) -> str:
        return self.params.get("branch", "")


class _Message:
    def __init__(self, message: SipMessage, source: Address) -> None:
        self._message, self.source = message, source
        self.body: bytes = message.body
        self.call_id: str = message.call_id or ""
        number, method = _cseq(self.header("cseq"))
        self.cseq_number, self.cseq_method = number, method

    def header(self, name: str) -> str:
        """The first value of a header, "" when absent. `name` in any case."""
        return self._message.headers.get_first(name) or ""

    def header_values(self, name: str) -> list[str]:
        return list(self._message.headers.get(name))

    def headers(self) -> Iterable[tuple[str, str]]:
        """Every header as (name as written, value), in the order of the first appearance of each name."""
        for name, values in self._message.headers.items():
            for value in values:
                yield name, value

    @property
    def vias(self) -> list[Via]:
        return [_via(text) for text in self.header_values("via")]

    @property
    def from_tag(self) -> str:
        return _tag(self.header("from"))

    @property
    def to_tag(self) -> str:
        return _tag(self.header("to"))


class Request(_Message):
    """A request as it came; `source` is the (ip, port) it came from."""

    def __init__(self, message: SipRequest, source: Address) -> None:
        super().__init__(message, source)
        self.method: str = message.method
        self.uri: str = message.uri

    @property
    def from_uri(self) -> Uri:
        return address_uri(self.header("from"))

    @property
    def to_uri(self) -> Uri:
        return address_uri(self.header("to"))

    @property
    def content_type(self) -> str:
        """Lower-case media type without parameters, "" when absent."""
        return self.header("content-type").partition(";")[0].strip().lower()


class Response(_Message):
    """A response as it came."""

    def __init__(self, message: SipResponse, source: Address) -> None:
        super().__init__(message, source)
        self.code: int = message.status_code
        self.reason: str = message.reason_phrase


def parse_message(data: bytes, source: Address) -> Request | Response:
    """Raises MessageError for anything that isn't SIP with a Via and a CSeq: such datagrams get no answer."""
    try:
        message = SipMessage.parse(data)
        parsed = Request(message, source) if isinstance(message, SipRequest) else Response(message, source)
        if not parsed.vias or not parsed.cseq_method:
            raise MessageError("no Via or CSeq")
    except MessageError:
        raise
    except Exception as error:  # a parser meant for friendly input may raise anything
        raise MessageError(f"unreadable SIP message: {type(error).__name__}") from error
    return parsed


def parse_sip_uri(text: str) -> Uri:
    """Never raises: what can't be read is an empty Uri."""
    try:
        uri = parse_uri(text)
        params = {key: value or "" for key, value in uri.params.items()}
        return Uri(uri.user or "", uri.host or "", _port(uri.port), params)
    except (ValueError, AttributeError):
        return Uri()


def address_uri(text: str) -> Uri:
    """The URI inside a From, To or Contact value."""
    start, end = text.find("<"), text.find(">")
    if 0 <= start < end:
        return parse_sip_uri(text[start + 1 : end])
    return parse_sip_uri(text.partition(";")[0])


def build_response(
    request: Request,
    code: int,
    reason: str,
    *,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """A response to `request`: its Via with `rport` filled in, From, To (with `to_tag` unless it has one), Call-ID,
    CSeq, then `headers`. An empty `reason` takes the usual phrase."""
    lines = [f"SIP/2.0 {code} {reason or _DEFAULT_REASONS.get(code, '')}".rstrip()]
    lines += [f"Record-Route: {value}" for value in request.header_values("record-route")]
    for index, via in enumerate(request.vias):
        lines.append(f"Via: {_answered_via(via, request.source) if index == 0 else via.text}")
    to = request.header("to")
    if to_tag and not request.to_tag:
        to = f"{to};tag={to_tag}"
    lines += [f"From: {request.header('from')}", f"To: {to}"]
    lines += [f"Call-ID: {request.call_id}", f"CSeq: {request.header('cseq')}"]
    return _serialise(lines, headers, body)


def build_request(method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b"") -> bytes:
    """A request with exactly `headers` plus Content-Length."""
    return _serialise([f"{method} {uri} SIP/2.0"], headers, body)


def _serialise(lines: list[str], headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    for name, value in headers:
        lines.append(f"{_one_line(name)}: {_one_line(value)}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace") + body


def _one_line(text: str) -> str:
    # Attribute values become headers (attributes_to_headers): a line break in one must not add a header.
    return text.replace("\r", " ").replace("\n", " ")


def _answered_via(via: Via, source: Address) -> str:
    if via.params.get("rport", "absent") != "":
        return via.text
    parts = [part for part in via.text.split(";") if part.strip().lower() not in ("rport", "rport=")]
    return ";".join([*parts, f"rport={source[1]}", f"received={source[0]}"])


def _via(text: str) -> Via:
    head, _, params = text.partition(";")
    protocol, _, sent_by = head.strip().partition(" ")
    host, colon, port = sent_by.strip().rpartition(":")
    if not colon or not port.isdigit():
        host, port = sent_by.strip(), "0"
    pairs = {key: value or "" for key, value in parse_params(params).items()}
    return Via(protocol.rpartition("/")[2].upper(), host, _port(int(port)), pairs, text)


def _tag(text: str) -> str:
    if not text:
        return ""
    return parse_address(text).params.get("tag") or ""


def _cseq(text: str) -> tuple[int, str]:
    number, _, method = text.strip().partition(" ")
    if not number.isdigit() or int(number) >= 2**32:
        return 0, ""
    return int(number), method.strip()


def _port(value: int | None) -> int:
    return value if value is not None and 0 <= value <= 65535 else 0
