from __future__ import annotations

import pytest
from ingest_worker.parsing.blocks import Heading, Paragraph, Table
from ingest_worker.parsing.problems import EMPTY, NOT_TEXT, Unreadable
from ingest_worker.parsing.text import parse_text

pytestmark = pytest.mark.unit

ROWS = (("Velora peel", "$129"), ("Brow lift", "$45"))


@pytest.mark.parametrize(
    "text",
    [
        "| Velora peel | $129 |\n| Brow lift | $45 |",
        "Velora peel\t$129\nBrow lift\t$45",
        "Velora peel ........ $129\nBrow lift .......... $45",
        "Velora peel      $129\nBrow lift        $45",
        "- Velora peel: $129\n- Brow lift: $45",
        "Velora peel – $129\n\nBrow lift – $45",
    ],
)
def test_price_lists_are_tables_however_they_are_typed(text: str) -> None:
    assert parse_text(text.encode()) == [Table(None, ROWS)]


def test_a_markdown_table_keeps_its_header() -> None:
    text = b"| Treatment | Price |\n|---|---:|\n| **Velora** peel | $129 |\n| Brow lift | $45 |\n"

    assert parse_text(text) == [Table(("Treatment", "Price"), ROWS)]


def test_a_sentence_with_a_price_stays_a_sentence() -> None:
    text = "Please note that a missed appointment costs $30 unless you call us a day before."

    assert parse_text(text.encode()) == [Paragraph(text)]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("# Prices #\ntext", Heading("Prices", 1)),
        ("Prices\n======\ntext", Heading("Prices", 1)),
        ("OPENING HOURS\n\ntext", Heading("OPENING HOURS", 3)),
        ("Opening hours:\ntext", Heading("Opening hours", 4)),
        ("**Prices**\n\ntext", Heading("Prices", 4)),
    ],
)
def test_headings_are_recognised(text: str, heading: Heading) -> None:
    assert parse_text(text.encode()) == [heading, Paragraph("text")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_of_usual_encodings_is_read(encoding: str) -> None:
    assert parse_text("Crème brûlée – 12 minutes".encode(encoding)) == [Paragraph("Crème brûlée – 12 minutes")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", EMPTY), (b" \r\n\t\n", EMPTY), (b"\x00\x01\x02" * 50, NOT_TEXT), (b"\x89PNG\r\n\x1a\n\x00", NOT_TEXT)],
)
def test_what_is_no_text_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_text(data)
    assert str(caught.value) == reason
