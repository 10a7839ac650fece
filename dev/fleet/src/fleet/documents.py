"""What a drawn clinic uploads: a PDF price list and a text FAQ."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from fleet.draw import Clinic, Treatment

SECTIONS = ("Face", "Body", "Teeth")


def price_list(clinic: Clinic) -> bytes:
    """A one-page PDF with a table for each section."""
    styles = getSampleStyleSheet()
    story: list[Any] = [Paragraph(f"{clinic.name}: price list", styles["Title"])]
    size = -(-len(clinic.treatments) // len(SECTIONS))
    for at, section in enumerate(SECTIONS):
        story += [Paragraph(section, styles["Heading2"]), rows(clinic.treatments[at * size : (at + 1) * size])]
        story += [Spacer(1, 14)]
    held = BytesIO()
    SimpleDocTemplate(held, pagesize=A4, title=f"{clinic.name} price list").build(story)
    return held.getvalue()


def rows(treatments: tuple[Treatment, ...]) -> Table:
    """The table of one section."""
    cells = [["Treatment", "Duration", "Price"]]
    cells += [[one.name, f"{one.minutes} min", f"${one.price}"] for one in treatments]
    table = Table(cells, colWidths=(240, 90, 80))
    table.setStyle(
        TableStyle([("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black), ("ALIGN", (1, 0), (-1, -1), "RIGHT")])
    )
    return table


def faq(clinic: Clinic) -> bytes:
    """Questions and answers as a text that somebody typed."""
    entries = [*clinic.faq, clinic.long]
    return "\n\n".join(f"{entry.topic.question}\n{entry.answer}" for entry in entries).encode() + b"\n"
