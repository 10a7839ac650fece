"""Lines of pages to blocks: tables, headings, paragraphs in reading order. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from ingest_worker.parsing.blocks import Block, Heading, Paragraph
from ingest_worker.parsing.geometry import Line, Page, Rule, Word, lines_of
from ingest_worker.parsing.tables import TableReader, columns_of, is_price

BULLETS = "•·▪◦‣●○■*-–—"
_LIST_ITEM = re.compile(rf"^(?:[{re.escape(BULLETS)}]\s|\d{{1,2}}[.)]\s|Q\d*\s?[:.]\s|A\s?[:.]\s)")
_PAGE_NUMBER = re.compile(r"^(?:page\s*)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?$", re.I)


@dataclass(slots=True)
class _Column:
    """Lines that are read one after the other: a page, or one column of it."""

    lines: list[Line]
    rules: list[Rule]


def blocks_of(pages: Sequence[Page]) -> list[Block]:
    """Everything that the pages say, in reading order."""
    columns = [column for page in _without_margins(pages) for column in _columns(page)]
    lines = [line for column in columns for line in column.lines]
    if not lines:
        return []
    reader = _Reader(_body_size(lines), _heading_sizes(lines))
    for column in columns:
        reader.column(column)
    reader.flush()
    return reader.blocks


def _body_size(lines: Sequence[Line]) -> float:
    return median(line.size for line in lines for _ in range(len(line.text)))


def _heading_sizes(lines: Sequence[Line]) -> list[float]:
    """Sizes above the body's, largest first."""
    body = _body_size(lines)
    return sorted({round(line.size) for line in lines if line.size > 1.12 * body}, reverse=True)


def _without_margins(pages: Sequence[Page]) -> list[Page]:
    """Pages without their numbers and without what repeats at the same height on most of them."""
    seen: Counter[tuple[int, str]] = Counter()
    for page in pages:
        seen.update({_mark(line) for line in lines_of(page.words) if _in_margin(line, page)})
    enough = max(3, len(pages) // 2)

    def kept(page: Page) -> Page:
        gone = {
            word
            for line in lines_of(page.words)
            if _in_margin(line, page) and (seen[_mark(line)] >= enough or _PAGE_NUMBER.match(line.text))
            for segment in line.segments
            for word in segment.words
        }
        return Page([word for word in page.words if word not in gone], page.rules, page.height)

    return [kept(page) for page in pages]


def _in_margin(line: Line, page: Page) -> bool:
    return line.y < 0.08 * page.height or line.y > 0.92 * page.height


def _mark(line: Line) -> tuple[int, str]:
    return round(line.y / 3), re.sub(r"\d+", "#", line.text)


def _columns(page: Page) -> list[_Column]:
    """The page whole, or its left and right half when text stands in two columns."""
    gutter = _gutter(page.words)
    if gutter is None:
        return [_Column(lines_of(page.words), page.rules)]
    top = max(word.y for word in page.words if word.x0 < gutter < word.x1) if _crossed(page.words, gutter) else None
    above = [word for word in page.words if top is not None and word.y >= top]
    rest = [word for word in page.words if top is None or word.y < top]
    halves = [
        above,
        [word for word in rest if word.x0 < gutter],
        [word for word in rest if word.x0 >= gutter],
    ]
    return [_Column(lines_of(half), page.rules) for half in halves if half]


def _crossed(words: Sequence[Word], gutter: float) -> bool:
    return any(word.x0 < gutter < word.x1 for word in words)


def _gutter(words: Sequence[Word]) -> float | None:
    """The x between two columns of text: wordy lines on both sides, hardly anything across."""
    if len(words) < 60:
        return None
    left, right = min(word.x0 for word in words), max(word.x1 for word in words)
    best: float | None = None
    for step in range(35, 66):
        x = left + (right - left) * step / 100
        if sum(1 for word in words if word.x0 - 4 < x < word.x1 + 4) > 0.02 * len(words):
            continue
        sides = (
            lines_of([word for word in words if word.x1 <= x]),
            lines_of([word for word in words if word.x0 >= x]),
        )
        if all(len(side) >= 6 and _wordiness(side) >= 4.5 for side in sides):
            best = x
    return best


def _wordiness(lines: Sequence[Line]) -> float:
    return sum(len(line.text.split()) for line in lines) / len(lines)


@dataclass(slots=True)
class _Reader:
    """One pass over all lines; collects the paragraph that is being read."""

    body: float
    sizes: list[float]
    blocks: list[Block] = field(default_factory=list)
    tables: TableReader = field(default_factory=TableReader)
    open: list[Line] = field(default_factory=list)

    def column(self, column: _Column) -> None:
        index = 0
        lines = [line for line in column.lines if line.segments]
        while index < len(lines):
            length = self._region(lines[index:])
            region = lines[index : index + length]
            columns = columns_of(region) if length else None
            if columns is None:
                self._single(lines[index])
                index += 1
                continue
            self.flush()
            self.blocks += self.tables.read(region, columns, column.rules)
            index += length

    def _region(self, lines: Sequence[Line]) -> int:
        """How many lines from the first on are one table; 0 when the first one begins none."""
        first = lines[0]
        if len(first.segments) < 2:
            return 0
        end = index = 1
        while index < len(lines):
            line, above = lines[index], lines[index - 1]
            if above.y - line.y > 4.5 * self.body or line.size > 1.3 * self.body:
                break
            if len(line.segments) > 1:
                if columns_of([*lines[:end], line]) is None:
                    break
                end = index + 1
            elif index - end >= 3 or len(line.text) > 90:
                break
            index += 1
        priced = any(is_price(line.text) for line in lines[:end])
        return self._tail(lines, end) if end >= 2 or priced else 0

    def _tail(self, lines: Sequence[Line], end: int) -> int:
        """With the last row's wrapped lines, which have one segment each."""
        while end < len(lines):
            line, above = lines[end], lines[end - 1]
            inside = columns_of(lines[:end])
            near = above.y - line.y < 1.35 * line.size
            if not (near and inside and line.size <= above.size and not line.bold and line.x0 > inside.spans[0][0] - 2):
                break
            if inside.of(line.segments[0]) == 0 and not line.text[:1].islower() and line.text[:1] not in "(&+":
                break
            end += 1
        return end

    def _single(self, line: Line) -> None:
        level = self._level(line)
        if level is not None:
            self.flush()
            before = self.blocks[-1] if self.blocks else None
            if isinstance(before, Heading) and before.level == level and before.text[-1:] in ",&-–":
                self.blocks[-1] = Heading(f"{before.text} {line.text}", level)
            else:
                self.blocks.append(Heading(line.text.strip().rstrip(":"), level))
            return
        if self.open and self._apart(self.open[-1], line):
            self.flush()
        self.open.append(line)

    def _level(self, line: Line) -> int | None:
        """The level of a heading; None for everything else."""
        text = line.text.strip()
        if len(text) > 120 or (_LIST_ITEM.match(text) and not text.endswith("?")) or not re.search(r"[^\W\d_]", text):
            return None
        if line.size > 1.12 * self.body and not text.endswith((".", ",", ";")):
            return 1 + self.sizes.index(round(line.size)) if round(line.size) in self.sizes else 3
        if line.bold and not text.endswith((".", ",", ";")) and not is_price(text):
            return 4
        return None

    def _apart(self, above: Line, below: Line) -> bool:
        """Whether a new paragraph begins: a gap, a list item, a question, another page."""
        gap = above.y - below.y
        return (
            gap < 0
            or gap > 1.65 * below.size
            or _LIST_ITEM.match(below.text) is not None
            or (below.text.rstrip().endswith("?") and above.text.rstrip().endswith((".", "!", ":")))
            or is_price(above.text)
            or is_price(below.text)
        )

    def flush(self) -> None:
        """The open paragraph becomes a block."""
        text = ""
        for line in self.open:
            hyphenated = text.endswith("-") and line.text[:1].islower()
            text = text[:-1] + line.text if hyphenated else f"{text} {line.text}".strip()
        if text:
            self.blocks.append(Paragraph(text.lstrip("•·▪◦‣●○■ ")))
        self.open = []
