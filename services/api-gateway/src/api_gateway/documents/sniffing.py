"""What an uploaded file is, judged from its bytes; its name and announced type only decide between kinds of text."""

from __future__ import annotations

import re

from switchboard.contracts.documents import MediaType
from switchboard.errors import FieldProblem, Unsupported

PDF_WINDOW = 1024
"""Readers accept a PDF's header anywhere in its first kilobyte, and real files make use of that."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MARKDOWN = re.compile(r"^(#{1,6} \S|\|? *:?-{3,}:? *\|)", re.MULTILINE)
_MARKUP = ("<!doctype", "<html", "<?xml", "{\\rtf")
_ACCEPTED = "send a PDF, or text or Markdown in UTF-8"

_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "an Office document or an archive", "save it as PDF and send that"),
    (b"\xd0\xcf\x11\xe0", "an old Office document", "save it as PDF and send that"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
    (b"\x89PNG", "a picture", "send the text itself, or a PDF that holds text"),
    (b"\xff\xd8\xff", "a picture", "send the text itself, or a PDF that holds text"),
)


def sniff(data: bytes, file_name: str = "", declared: str = "") -> MediaType:
    """The media type of ``data``; :class:`Unsupported` (415) says what it seems to be and what to send instead."""
    if b"%PDF-" in data[:PDF_WINDOW]:
        return "application/pdf"
    for magic, kind, fix in _KNOWN:
        if data.startswith(magic):
            raise _unsupported(f"this seems to be {kind}", fix)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _unsupported("this is neither a PDF nor text in UTF-8", _ACCEPTED) from None
    if _CONTROL.search(text):
        raise _unsupported("this is not text: it holds control characters", _ACCEPTED)
    if text.lstrip()[:16].lower().startswith(_MARKUP):
        raise _unsupported("this is markup of a kind we don't read", _ACCEPTED)
    if file_name.lower().endswith((".md", ".markdown")) or declared == "text/markdown" or _MARKDOWN.search(text):
        return "text/markdown"
    return "text/plain"


def _unsupported(detail: str, fix: str) -> Unsupported:
    return Unsupported(detail, fields=[FieldProblem("/file", detail, fix)])
