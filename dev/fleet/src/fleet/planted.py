"""Searches everything that a fleet leaves outside of its databases for things that must not be there.

Plant a number, a name or a sentence (use them in a call), then::

    left = await places(layout)
    assert found(left, [Planted("the caller's number", "+15557777777")]) == []

A number is found with or without its plus and country code, and with spaces, hyphens or brackets in it; a name or a sentence
in any case and punctuation; of a sentence any :data:`FRAGMENT` words in a row. Percent encoding and base64 hide nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote_plus

from nats.js.errors import NotFoundError
from switchboard.bus.topology import DEAD_LETTERS
from switchboard.http import client
from switchboard.settings import NatsSettings

from fleet.broker import broker, operators
from fleet.layout import Layout
from fleet.process import FleetError

FRAGMENT = 4

NOT_OURS = ("livekit",)
"""LiveKit's log names rooms, and rooms of SIP calls are named after the caller. So does LiveKit SIP's, where it is the real
one."""

Kind = Literal["log", "span", "metric", "subject", "header", "body", "dead letter"]

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_ESCAPES = re.compile(r"\\[nrt\"]")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Planted:
    """Something to be searched for; ``what`` names it in the result. A number when ``text`` has no letters."""

    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A text that was left somewhere. ``kind`` is "dead letter" for all that one has."""

    kind: Kind
    name: str
    text: str


def found(left: Iterable[Place], planted: Iterable[Planted]) -> list[str]:
    """What stands where; empty when nothing does."""
    wanted = list(planted)
    complaints: list[str] = []
    for place in left:
        for view in _views(place.text):
            words = f" {' '.join(_WORD.findall(_ESCAPES.sub(' ', view).lower()))} "
            complaints += [
                f"{one.what} stands in {place.kind} {place.name}" for one in wanted if _stands(one, view, words)
            ]
    return sorted(set(complaints))


def _views(text: str) -> Iterator[str]:
    """The text, and what its percent encodings and each of its base64 strings say."""
    yield text
    plain = unquote_plus(text)
    if plain != text:
        yield plain
    decoded: list[str] = []
    for match in _BASE64.findall(text):
        bare = match.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded.append(base64.b64decode(bare + "=" * (-len(bare) % 4)).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
    if decoded:
        yield "\n".join(decoded)


def _stands(planted: Planted, text: str, words: str) -> bool:
    """``words``: the text's words in lower case, a space around each."""
    if not any(char.isalpha() for char in planted.text):
        digits = re.sub(r"\D", "", planted.text)[-10:]
        return re.search(r"[ ().-]{0,2}".join(digits), text) is not None
    said = _WORD.findall(planted.text.lower())
    if not said:
        raise FleetError(f"{planted.what} has no words to search for")
    length = min(FRAGMENT, len(said))
    return any(f" {' '.join(said[at : at + length])} " in words for at in range(len(said) - length + 1))


# -- where things are left ----------------------------------------------------------------------------------------------


async def places(layout: Layout) -> list[Place]:
    """Everything that a running fleet has left; FleetError as :func:`check_complete`."""
    apart = (*NOT_OURS, "sip") if layout.sip.real else NOT_OURS
    logs = [path for path in sorted(layout.logs.glob("*.log*")) if path.name.partition(".")[0] not in apart]
    left = in_files("log", logs) + in_files("span", sorted((layout.folder / "spans").glob("*.jsonl")))
    left += await in_metrics({process: layout.url(process) for process in layout.http_ports})
    check_complete(left, layout.http_ports)
    return left + await on_the_bus(operators(layout))


def check_complete(left: Iterable[Place], processes: Iterable[str]) -> None:
    """FleetError when one of these has left no log, no span or no metric: it is looked for in the wrong place then."""
    seen = {(place.kind, place.name.partition(".")[0]) for place in left}
    missing = [
        f"{kind} of {name}" for name in processes for kind in ("log", "span", "metric") if (kind, name) not in seen
    ]
    if missing:
        raise FleetError(f"nothing was looked at, since there is no {', no '.join(missing)}")


def in_files(kind: Kind, paths: Iterable[Path]) -> list[Place]:
    """Each file that is not empty, by its name."""
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    return [Place(kind, name, text) for name, text in texts.items() if text]


async def in_metrics(urls: Mapping[str, str]) -> list[Place]:
    """`/metrics` of each process."""
    left: list[Place] = []
    for process, url in urls.items():
        async with client(base_url=url) as http:
            reply = await http.get("/metrics")
            reply.raise_for_status()
            left.append(Place("metric", process, reply.text))
    return left


async def on_the_bus(settings: NatsSettings) -> list[Place]:
    """Subjects, headers and bodies of all streams, those of buckets (whose keys are subjects) among them."""
    left: list[Place] = []
    async with broker(settings) as bus:
        js = bus.jetstream()
        for stream in sorted(str(info.config.name) for info in await js.streams_info()):
            state = (await js.stream_info(stream, subjects_filter=">")).state
            left.append(Place("subject", stream, "\n".join(state.subjects or {})))
            dead = stream == DEAD_LETTERS
            for sequence in range(max(1, state.first_seq), state.last_seq + 1):
                try:
                    message = await js.get_msg(stream, sequence)
                except NotFoundError:
                    continue  # replayed, or a bucket's older value
                headers = "\n".join(f"{key}: {value}" for key, value in (message.headers or {}).items())
                body = (message.data or b"").decode(errors="replace")
                name = f"{stream} {sequence}"
                left.append(Place("dead letter" if dead else "header", f"{name} headers", headers))
                left.append(Place("dead letter" if dead else "body", f"{name} body", body))
    return left
