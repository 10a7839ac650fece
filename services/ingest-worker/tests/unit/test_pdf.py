from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from ingest_worker.parsing.blocks import Block, Heading, Paragraph, Table
from ingest_worker.parsing.pdf import parse_pdf
from ingest_worker.parsing.problems import ENCRYPTED, NO_TEXT, NOT_A_PDF, Unreadable
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph as Text
from reportlab.platypus import SimpleDocTemplate, Spacer
from reportlab.platypus import Table as Drawn

pytestmark = pytest.mark.unit

HEADER = ("Treatment", "Duration", "Price")
ROWS = (
    ("Velora peel", "45 min", "$129"),
    ("Hydra glow facial", "60 min", "$185"),
    ("Deep tissue carbon laser facial with aftercare mask and consultation", "1 h 30 min", "$1,240"),
    ("Brow lift", "20 min", "from $45"),
)
STYLES = getSampleStyleSheet()
LOOKS: dict[str, list[Any]] = {
    "plain": [],
    "grid": [("GRID", (0, 0), (-1, -1), 0.5, colors.black)],
    "zebra": [("ROWBACKGROUNDS", (0, 0), (-1, -1), [colors.white, colors.lightgrey])],
    "line below the header": [("LINEBELOW", (0, 0), (-1, 0), 1, colors.black)],
    "bold header, prices to the right": [
        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
        ("ALIGN", (2, 0), (2, -1), "RIGHT"),
    ],
    "cells centred": [("ALIGN", (0, 0), (-1, -1), "CENTER")],
    "cells to the top": [("VALIGN", (0, 0), (-1, -1), "TOP")],
    "cells to the middle": [("VALIGN", (0, 0), (-1, -1), "MIDDLE")],
}


def built(*story: Any) -> bytes:
    held = BytesIO()
    SimpleDocTemplate(held, pagesize=A4).build(list(story))
    return held.getvalue()


def drawn(rows: Any, style: list[Any], widths: tuple[int, ...] = (200, 100, 80), **more: Any) -> Drawn:
    cells = [[Text(cell, STYLES["Normal"]) if len(cell) > 40 else cell for cell in row] for row in rows]
    return Drawn(cells, colWidths=widths, style=style, **more)


def only_table(blocks: list[Block]) -> Table:
    tables = [block for block in blocks if isinstance(block, Table)]
    assert len(tables) == 1, blocks
    return tables[0]


@pytest.mark.parametrize("look", LOOKS)
def test_a_table_is_read_row_by_row_however_it_is_drawn(look: str) -> None:
    blocks = parse_pdf(
        built(
            Text("Our prices", STYLES["Title"]),
            Text(
                "All prices include tax, and there is a discount for three sessions booked at once.", STYLES["Normal"]
            ),
            Spacer(1, 12),
            drawn([HEADER, *ROWS], LOOKS[look]),
        ),
        10,
    )

    assert blocks[0] == Heading("Our prices", 1)
    assert isinstance(blocks[1], Paragraph)
    assert only_table(blocks) == Table(HEADER, ROWS)


def test_a_table_over_several_pages_keeps_its_header_and_loses_page_numbers() -> None:
    rows = [(f"Treatment number {number}", f"{number} min", f"${number}") for number in range(10, 150)]

    def number(canvas: Canvas, document: Any) -> None:
        canvas.drawString(280, 30, f"Page {document.page} of 4")

    for repeat in (0, 1):
        held = BytesIO()
        SimpleDocTemplate(held).build([drawn([HEADER, *rows], [], repeatRows=repeat)], number, number)
        tables = [block for block in parse_pdf(held.getvalue(), 10) if isinstance(block, Table)]

        assert [row for table in tables for row in table.rows] == rows
        assert {table.header for table in tables} == {HEADER}


def test_titles_between_the_rows_become_headings() -> None:
    rows = [HEADER, ("Facials", "", ""), *ROWS[:2], ("Body", "", ""), ("Leg wax", "30 min", "$60")]

    blocks = parse_pdf(built(drawn(rows, [("FONTNAME", (0, 1), (0, 1), "Helvetica-Bold")])), 10)

    assert [block.text for block in blocks if isinstance(block, Heading)] == ["Facials", "Body"]
    assert [block.rows for block in blocks if isinstance(block, Table)] == [ROWS[:2], (("Leg wax", "30 min", "$60"),)]


def test_dots_lead_from_the_name_to_the_price() -> None:
    held = BytesIO()
    canvas = Canvas(held)
    for at, (name, price) in enumerate((("Velora peel", "$129"), ("Hydra glow facial", "$185"))):
        canvas.drawString(60, 700 - 20 * at, name + " " + "." * (60 - len(name)) + " " + price)
    canvas.save()

    assert only_table(parse_pdf(held.getvalue(), 10)).rows == (("Velora peel", "$129"), ("Hydra glow facial", "$185"))


def test_two_columns_of_text_are_read_one_after_the_other() -> None:
    held = BytesIO()
    canvas = Canvas(held)
    for at in range(12):
        canvas.drawString(50, 700 - 14 * at, f"left line {at} goes on for quite a while here")
        canvas.drawString(320, 700 - 14 * at, f"right line {at} goes on for quite a while too")
    canvas.save()

    text = " ".join(block.text for block in parse_pdf(held.getvalue(), 10) if isinstance(block, Paragraph))

    assert text.index("left line 11") < text.index("right line 0")


def test_bold_lines_are_headings_and_what_follows_them_is_text() -> None:
    story = [Text("<b>Do you accept walk-ins?</b>", STYLES["Normal"]), Text("Yes, before noon.", STYLES["Normal"])]

    assert parse_pdf(built(*story, *story[1:] * 3), 10)[0] == Heading("Do you accept walk-ins?", 4)


def picture() -> bytes:
    held = BytesIO()
    canvas = Canvas(held)
    canvas.rect(10, 10, 300, 300, fill=1)
    canvas.save()
    return held.getvalue()


def locked() -> bytes:
    held = BytesIO()
    canvas = Canvas(held, encrypt="secret")
    canvas.drawString(60, 700, "Velora peel $129")
    canvas.save()
    return held.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", NOT_A_PDF), (b"%PDF-1.7 nonsense", NOT_A_PDF), (picture(), NO_TEXT), (locked(), ENCRYPTED)],
    ids=["empty", "nonsense", "picture", "locked"],
)
def test_what_can_t_be_read_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_pdf(data, 10)
    assert str(caught.value) == reason


def test_too_many_pages_are_refused_with_their_number() -> None:
    held = BytesIO()
    canvas = Canvas(held)
    for _ in range(4):
        canvas.drawString(60, 700, "a page")
        canvas.showPage()
    canvas.save()

    with pytest.raises(Unreadable, match="4 pages; we take at most 3"):
        parse_pdf(held.getvalue(), 3)
