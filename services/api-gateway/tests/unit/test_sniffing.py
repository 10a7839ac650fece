"""What an upload is, from its bytes."""

from __future__ import annotations

import pytest
from api_gateway.documents.sniffing import sniff
from switchboard.errors import Unsupported

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("data", "file_name", "declared", "expected"),
    [
        (b"%PDF-1.4 rest", "x", "", "application/pdf"),
        (b"junk before it\n%PDF-1.7\n", "x.txt", "text/plain", "application/pdf"),
        (b"Opening hours: 9 to 5", "faq.txt", "", "text/plain"),
        ("\ufeffHorario: mañana".encode(), "faq", "", "text/plain"),
        (b"plain words", "faq.MD", "", "text/markdown"),
        (b"plain words", "faq", "text/markdown", "text/markdown"),
        (b"Intro\n\n## Prices\n\nCleaning 60", "faq", "", "text/markdown"),
        (b"a | b\n--- | ---\n1 | 2\n", "faq", "", "text/markdown"),
        (b"#1 in town\r\n\x0cpage two", "faq.txt", "application/pdf", "text/plain"),
    ],
)
def test_kinds(data: bytes, file_name: str, declared: str, expected: str) -> None:
    assert sniff(data, file_name, declared) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04word", b"\xd0\xcf\x11\xe0old", b"\x89PNG\r\n", b"\xff\xd8\xffjpeg", "héllo".encode("utf-16"),
        "précios".encode("latin-1"), b"a\x00b", b"\x7fELF\x01", b"<!DOCTYPE html><p>", b"  <html>", b"{\\rtf1 x}",
        b" " * 1020 + b"%PDF-",
    ],
)  # fmt: skip
def test_what_we_cannot_read(data: bytes) -> None:
    """The name and the announced type don't help."""
    if b"%PDF" in data:
        assert sniff(data, "prices.pdf", "application/pdf") == "text/plain", "too far in to be a PDF's header"
        return
    with pytest.raises(Unsupported) as caught:
        sniff(data, "prices.pdf", "application/pdf")
    assert caught.value.status == 415
    assert caught.value.fields[0].fix
