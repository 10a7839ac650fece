"""Reads a multipart upload as it comes, in memory only and never more than the limit: documents rest sealed, so no
temporary file may hold one in clear."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from switchboard.errors import FieldProblem, InvalidInput, TooLarge, Unsupported

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE = "file"
NAME = "name"
MAX_NAME_CHARACTERS = 200
MAX_NAME_BYTES = 4 * MAX_NAME_CHARACTERS
MAX_PARTS = 8
FORM_BYTES = 64 * 1024
"""What a form may weigh around its file."""

_FIX = "send multipart/form-data with a part `file` and, if you like, a part `name`"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Upload:
    """``declared`` is the media type that the part states, lower case, or empty; ``file_name`` as it was sent."""

    data: bytes
    name: str
    file_name: str
    declared: str


@dataclass(slots=True)
class _Part:
    headers: dict[str, bytes] = field(default_factory=dict)
    name: str = ""
    file_name: str | None = None
    data: bytearray = field(default_factory=bytearray)


class _Form:
    """Callbacks of the parser. Collects the two parts that we know, and refuses others."""

    def __init__(self, max_file_bytes: int) -> None:
        self._max_file_bytes = max_file_bytes
        self._count = 0
        self._part = _Part()
        self._header = b""
        self._value = b""
        self.parts: dict[str, _Part] = {}
        self.ended = False

    def on_part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise _malformed("the form has too many parts")
        self._part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._part.headers[self._header.decode("latin-1").lower()] = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._part.headers.get("content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in (FILE, NAME):
            problem = FieldProblem("", "the form has a part that is not known here", _FIX)
            raise InvalidInput("a part of the form is not known here", fields=[problem])
        if name in self.parts:
            raise InvalidInput(fields=[FieldProblem(f"/{name}", "it is there twice", "send it once")])
        self._part.name = name
        if b"filename" in options:
            self._part.file_name = options[b"filename"].decode("utf-8", "replace")
        self.parts[name] = self._part

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        limit = self._max_file_bytes if part.name == FILE else MAX_NAME_BYTES
        if len(part.data) + end - start > limit:
            raise _too_large(part.name, limit)
        part.data += memoryview(data)[start:end]

    def on_end(self) -> None:
        self.ended = True


async def read_upload(chunks: AsyncIterator[bytes], content_type: str, max_file_bytes: int) -> Upload:
    """The upload. Stops reading as soon as something is wrong: :class:`TooLarge`, :class:`Unsupported` (not a form),
    :class:`InvalidInput` (no file, an empty one, a part we don't know)."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Unsupported("this is not a form with a file", fields=[FieldProblem("", "not multipart/form-data", _FIX)])
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _malformed("the content-type names no boundary")
    form = _Form(max_file_bytes)
    try:
        parser = MultipartParser(boundary, _callbacks(form))
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except FormParserError:
        raise _malformed("the form can't be read") from None
    if not form.ended:
        raise _malformed("the form breaks off before its end")
    return _upload(form)


def _callbacks(form: _Form) -> MultipartCallbacks:
    return {
        "on_part_begin": form.on_part_begin,
        "on_part_data": form.on_part_data,
        "on_header_field": form.on_header_field,
        "on_header_value": form.on_header_value,
        "on_header_end": form.on_header_end,
        "on_headers_finished": form.on_headers_finished,
        "on_end": form.on_end,
    }


def _upload(form: _Form) -> Upload:
    part = form.parts.get(FILE)
    if part is None:
        raise InvalidInput("the form has no file", fields=[FieldProblem("/file", "it is missing", _FIX)])
    if not part.data:
        problem = FieldProblem("/file", "it is empty", "send a file that has content")
        raise InvalidInput("the file is empty", fields=[problem])
    file_name = part.file_name or ""
    declared = part.headers.get("content-type", b"").split(b";")[0].strip().decode("latin-1").lower()
    return Upload(bytes(part.data), _name(form, file_name), file_name, declared)


def _name(form: _Form, file_name: str) -> str:
    """What the document is called: as the form says, or else as the file is called, without its folders."""
    if NAME not in form.parts:
        bare = _CONTROL.sub("", re.split(r"[/\\]", file_name)[-1]).strip()
        return bare[-MAX_NAME_CHARACTERS:] or "document"
    try:
        name = form.parts[NAME].data.decode("utf-8").strip()
    except UnicodeDecodeError:
        name = ""
    if not name or len(name) > MAX_NAME_CHARACTERS or _CONTROL.search(name):
        fix = f"send 1 to {MAX_NAME_CHARACTERS} characters of text in UTF-8, in one line"
        raise InvalidInput("the name is wrong", fields=[FieldProblem("/name", "not a name for a document", fix)])
    return name


def _too_large(part: str, limit: int) -> TooLarge:
    problem = FieldProblem(f"/{part}", f"larger than {limit} bytes", "send a smaller one, or split it")
    return TooLarge(f"`{part}` is larger than {limit} bytes", fields=[problem])


def _malformed(detail: str) -> InvalidInput:
    return InvalidInput(detail, fields=[FieldProblem("", detail, _FIX)])
