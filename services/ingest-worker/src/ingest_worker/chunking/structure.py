"""Blocks to sections: what stands under which headings, questions with their answers, rows with their labels. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ingest_worker.parsing.blocks import DURATION, PRICE, Block, Heading, Paragraph, Table

Kind = Literal["prose", "answer", "row", "lines"]

QUESTION_LEVEL = 9
_QUESTION = re.compile(
    r"^(?:\W*(?:q|question)\s?\d*\s?[:.)]\s*)?([^.!?\n]{3,200}\?|[^?\n]{3,80}\?(?=\n|$))\s*(.*)$", re.I | re.S
)
_LABELLED = re.compile(r"^[A-Z][A-Za-z' &/-]{2,40}:\s+\S+\s+\S")
_NUMBERED = re.compile(r"^\d{1,3}\s*[.)]\s+")
_ANSWER = re.compile(r"^\W*(?:a|answer)\s?\d*\s?[:.)]\s*", re.I)
_AMOUNT = re.compile(r"(?:from\s+)?\d[\d,]*(?:\.\d{1,2})?(?:\s*[-–]\s*\d[\d,]*(?:\.\d{1,2})?)?", re.I)
_PRICE_LABEL = re.compile(r"price|cost|fee|rate|amount|charge|[$€£]|usd|eur|gbp", re.I)


@dataclass(slots=True)
class Piece:
    """Something that is never torn apart unless it is long prose. ``heading`` is what stands above it."""

    kind: Kind
    heading: str
    text: str


@dataclass(slots=True)
class _Reader:
    pieces: list[Piece] = field(default_factory=list)
    path: list[Heading] = field(default_factory=list)
    question: str | None = None
    answer: list[str] = field(default_factory=list)

    def read(self, blocks: Iterable[Block]) -> list[Piece]:
        for block in blocks:
            if isinstance(block, Heading):
                self._heading(block)
            elif isinstance(block, Table):
                self.close()
                self._table(block)
            else:
                self._paragraph(block)
        self.close()
        return self.pieces

    def heading(self) -> str:
        """The nearest two headings, the larger one first."""
        return " > ".join(one.text for one in self.path[-2:])

    def _heading(self, block: Heading) -> None:
        self.close()
        text = _NUMBERED.sub("", block.text)
        if asked := _QUESTION.match(text):
            self.question = asked[1].strip()
            return
        self.path = [one for one in self.path if one.level < block.level]
        self.path.append(Heading(text, block.level))

    def _paragraph(self, block: Paragraph) -> None:
        text = _NUMBERED.sub("", block.text)
        asked = _QUESTION.match(text)
        if asked and (asked[2].strip() or len(text) <= 200):
            self.close()
            self.question = asked[1].strip()
            text = asked[2]
        text = _ANSWER.sub("", text).strip() if self.question is not None else text
        if not text:
            return
        if self.question is not None:
            self.answer.append(text)
        elif all(_LABELLED.match(line) for line in text.split("\n")):
            # "Payment: ..." says one thing, as a row of a list does
            self.pieces += [Piece("row", self.heading(), line) for line in text.split("\n")]
        else:
            self.pieces.append(Piece("prose", self.heading(), text))

    def _table(self, table: Table) -> None:
        heading = self.heading()
        rows = [tuple(" ".join(cell.split()) for cell in row) for row in table.rows]
        header = tuple(label.strip().rstrip(":") for label in table.header) if table.header else None
        priced = price_column(header, rows)
        if priced is not None:
            labels = header or _guess(rows, priced)
            self.pieces += [Piece("row", heading, row_text(labels, row)) for row in rows if any(row)]
            return
        for row in rows:
            if len(row) == 2 and row[0].endswith("?") and row[1]:
                self.pieces.append(Piece("answer", row[0], row[1]))
            elif any(row):
                self.pieces.append(Piece("lines", heading, plain_row(header, row)))

    def close(self) -> None:
        """The open question gets the answer that was collected."""
        if self.question is not None:
            if self.answer:
                self.pieces.append(Piece("answer", self.question, "\n".join(self.answer)))
            else:
                self.pieces.append(Piece("prose", self.heading(), self.question))
        self.question, self.answer = None, []


def pieces_of(blocks: Iterable[Block]) -> list[Piece]:
    """Everything a document says, in its order."""
    return _Reader().read(blocks)


def price_column(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> int | None:
    """The column with the prices; None when the table is no price list."""
    width = max((len(row) for row in rows), default=0)
    counts = [sum(1 for row in rows if at < len(row) and PRICE.search(row[at])) for at in range(width)]
    if counts and max(counts) >= max(1, 0.4 * len(rows)):
        return counts.index(max(counts))
    for at in reversed(range(width)):
        cells = [row[at] for row in rows if at < len(row)]
        amounts = sum(1 for cell in cells if _AMOUNT.fullmatch(cell))
        if header and at < len(header) and _PRICE_LABEL.search(header[at]) and amounts >= 0.5 * len(cells):
            return at
    return None


def _guess(rows: Sequence[Sequence[str]], priced: int) -> tuple[str, ...]:
    """Labels for a price list without a header: what the cells look like."""
    width = max(len(row) for row in rows)
    labels = ["Details"] * width
    labels[priced] = "Price"
    named = False
    for at in range(width):
        if at == priced:
            continue
        cells = [row[at] for row in rows if at < len(row) and row[at]]
        if cells and sum(1 for cell in cells if DURATION.search(cell) and len(cell) < 25) >= 0.6 * len(cells):
            labels[at] = "Duration"
        elif not named:
            labels[at], named = "Treatment", True
    return tuple(labels)


def row_text(labels: Sequence[str], row: Sequence[str]) -> str:
    """``Treatment: Velora peel | Duration: 45 min | Price: $129``; empty cells are left out."""
    cells = []
    for at, cell in enumerate(row):
        label = labels[at] if at < len(labels) else ""
        if cell:
            cells.append(f"{label}: {cell}" if label else cell)
    return " | ".join(cells)


def plain_row(header: Sequence[str] | None, row: Sequence[str]) -> str:
    """``Monday: 9:00 - 18:00`` of a table without prices; with a header and more columns every cell keeps its label."""
    cells = [cell for cell in row if cell]
    if len(row) <= 2 or header is None:
        return f"{cells[0]}: {', '.join(cells[1:])}" if len(cells) > 1 else cells[0]
    others = [
        f"{header[at]} {cell}" if at < len(header) and header[at] else cell
        for at, cell in enumerate(row)
        if at and cell
    ]
    return f"{row[0]}: {', '.join(others)}" if row[0] else ", ".join(others)
