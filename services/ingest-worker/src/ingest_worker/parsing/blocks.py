"""What a document is made of after parsing, and how that travels from the parser's process. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Heading:
    """``level`` 1 is the largest."""

    text: str
    level: int


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together; line breaks are kept where they mean something (lists)."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns. ``header`` is None when the table has no header row."""

    header: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]


Block: TypeAlias = Heading | Paragraph | Table

PRICE = re.compile(
    r"(?<![\w.])(?:[$€£¥]\s?\d[\d,]*(?:\.\d{1,2})?|\d[\d,]*(?:\.\d{1,2})?\s?(?:[$€£]|USD|EUR|GBP|CHF|CAD|AUD|dollars|euros|pounds)\b)"
    r"|(?<!\w)(?:free of charge|complimentary|on request|price on application|POA)\b",
    re.I,
)
"""A price as price lists write it; amounts without a currency are told by their column's header."""

DURATION = re.compile(
    r"\b\d+(?:\s?(?:-|–|to)\s?\d+)?\s?(?:min(?:ute)?s?|hours?|hrs?|h|days?|weeks?|months?)\b\.?", re.I
)


def to_json(blocks: Sequence[Block]) -> list[list[Any]]:
    """Plain lists, for the pipe between the two processes."""
    return [_plain(block) for block in blocks]


def _plain(block: Block) -> list[Any]:
    if isinstance(block, Heading):
        return ["heading", block.text, block.level]
    if isinstance(block, Paragraph):
        return ["paragraph", block.text]
    return ["table", block.header, block.rows]


def from_json(data: Any) -> list[Block]:
    """What :func:`to_json` made. ``ValueError`` for anything else: the parser's process is not trusted."""
    if not isinstance(data, list):
        raise ValueError("blocks are a list")
    return [_block(item) for item in data]


def _block(item: Any) -> Block:
    match item:
        case ["heading", str(text), int(level)]:
            return Heading(text, level)
        case ["paragraph", str(text)]:
            return Paragraph(text)
        case ["table", header, list(rows)]:
            return Table(None if header is None else _cells(header), tuple(_cells(row) for row in rows))
    raise ValueError("not a block")


def _cells(row: Any) -> tuple[str, ...]:
    if not isinstance(row, list) or not all(isinstance(cell, str) for cell in row):
        raise ValueError("cells are texts")
    return tuple(row)
