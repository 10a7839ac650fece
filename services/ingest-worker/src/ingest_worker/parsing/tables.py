"""Tables from geometry: lines whose cells stand under each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ingest_worker.parsing.blocks import DURATION, PRICE, Block, Heading, Table
from ingest_worker.parsing.geometry import Line, Rule, Segment, Word

SECTION_LEVEL = 5
"""A title inside a table stands below every heading outside."""

_AMOUNT = re.compile(r"[\d.,]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """x ranges from left to right."""

    spans: tuple[tuple[float, float], ...]

    def of(self, segment: Segment) -> int:
        """The column that ``segment`` overlaps most, or stands nearest to."""
        overlaps = [min(segment.x1, x1) - max(segment.x0, x0) for x0, x1 in self.spans]
        return overlaps.index(max(overlaps))

    def cells(self, lines: Sequence[Line]) -> list[str]:
        """The text of one row that takes ``lines``."""
        words: list[list[str]] = [[] for _ in self.spans]
        for line in lines:
            for segment in line.segments:
                words[self.of(segment)].append(segment.text)
        return [" ".join(cell) for cell in words]

    def like(self, other: Columns) -> bool:
        """Whether a table goes on: the same columns begin or end at the same places."""
        return len(self.spans) == len(other.spans) and all(
            abs(a[0] - b[0]) < 6 or abs(a[1] - b[1]) < 6 for a, b in zip(self.spans, other.spans, strict=True)
        )


def columns_of(lines: Sequence[Line]) -> Columns | None:
    """The columns of lines with several segments, or None when there are none that hold for most of them."""
    several = [line for line in lines if len(line.segments) > 1]
    if not several:
        return None
    spans: list[list[float]] = []
    for x0, x1 in sorted((segment.x0, segment.x1) for line in several for segment in line.segments):
        if spans and x0 < spans[-1][1] - 1:
            spans[-1][1] = max(spans[-1][1], x1)
        else:
            spans.append([x0, x1])
    if len(spans) < 2:
        return None
    return Columns(tuple((x0, x1) for x0, x1 in spans))


def split_words(line: Line, columns: Columns) -> Line:
    """``line`` cut where columns begin, for cells that stand closer together than a column's usual gap."""
    cut: list[Segment] = []
    for segment in line.segments:
        reached = [span for span in columns.spans if min(segment.x1, span[1]) - max(segment.x0, span[0]) > 2]
        if len(reached) < 2:
            cut.append(segment)
            continue
        groups: list[tuple[int, list[Word]]] = []
        for word in segment.words:
            at = columns.of(Segment((word,)))
            if groups and groups[-1][0] == at:
                groups[-1][1].append(word)
            else:
                groups.append((at, [word]))
        cut += [Segment(tuple(words)) for _, words in groups]
    return Line(tuple(cut), line.y, line.size, line.bold)


def is_price(text: str) -> bool:
    return PRICE.search(text) is not None


def find_header(rows: Sequence[Sequence[str]], bold_first: bool) -> bool:
    """Whether the first row names the columns: words only, while what stands below it has prices, times or amounts."""
    if len(rows) < 2:
        return False
    first, rest = rows[0], rows[1:]
    if any(is_price(cell) or DURATION.search(cell) or _AMOUNT.fullmatch(cell.strip()) for cell in first):
        return False
    if sum(1 for cell in first if cell) < max(2, len(first) - 1) or any(cell.endswith("?") for cell in first):
        return False
    figures = any(
        is_price(cell) or DURATION.search(cell) or _AMOUNT.fullmatch(cell.strip()) for row in rest for cell in row
    )
    return bold_first or (figures and max(len(cell) for cell in first) <= 40)


def _fits(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a header from above may stand over ``rows``: its price column must hold the prices."""
    priced = [index for index, label in enumerate(header) if re.search(r"price|cost|fee|rate", label, re.I)]
    holding = sum(1 for row in rows if any(is_price(row[index]) for index in priced))
    return bool(priced) and 2 * holding >= len(rows)


class TableReader:
    """One table region of a page: its lines into rows, its rows into blocks. Remembers columns and header for the
    next page, where the table may go on."""

    def __init__(self) -> None:
        self.columns: Columns | None = None
        self.header: tuple[str, ...] | None = None

    def read(self, lines: Sequence[Line], columns: Columns, rules: Sequence[Rule]) -> list[Block]:
        """Blocks in reading order: tables, and headings where a title stands between rows."""
        lines = [split_words(line, columns) for line in lines]
        groups = _rows(lines, columns, rules)
        continued = self.columns is not None and self.columns.like(columns)
        blocks: list[Block] = []
        rows: list[tuple[str, ...]] = []
        body: list[tuple[tuple[str, ...], bool]] = []
        for group in groups:
            body.append((tuple(columns.cells(group)), all(line.bold for line in group)))
        titles = [sum(1 for cell in cells if cell) == 1 and bool(cells[0]) for cells, _ in body]
        real = [cells for (cells, _), title in zip(body, titles, strict=True) if not title]
        bold_first = next((bold for (_, bold), title in zip(body, titles, strict=True) if not title), False)
        mostly_bold = sum(bold for _, bold in body) > len(body) / 2
        if real and find_header(real, bold_first and not mostly_bold):
            header = real[0]
        elif self.header is not None and continued and _fits(self.header, real):
            header = self.header
        else:
            header = None
        for (cells, _), title in zip(body, titles, strict=True):
            if title:
                if rows:
                    blocks.append(Table(header, tuple(rows)))
                    rows = []
                blocks.append(Heading(cells[0].rstrip(":"), SECTION_LEVEL))
            elif cells != header:
                rows.append(cells)
        if rows:
            blocks.append(Table(header, tuple(rows)))
        self.columns, self.header = columns, header
        return blocks


def _rows(lines: Sequence[Line], columns: Columns, rules: Sequence[Rule]) -> list[list[Line]]:
    """Lines grouped into rows: by the drawn edges between them where there are any, else by distance."""
    left, right = columns.spans[0][0], columns.spans[-1][1]
    edges = sorted({round(rule.y) for rule in rules if _covers(rule, left, right)}, reverse=True)
    bands: dict[int, list[Line]] = {}
    for line in lines:
        middle = line.y + 0.3 * line.size
        bands.setdefault(sum(1 for edge in edges if edge > middle), []).append(line)
    grouped: list[list[Line]] = []
    for band in bands.values():
        priced = sum(1 for line in band if is_price(line.text))
        several = sum(1 for line in band if len(line.segments) > 1)
        ruled = len(bands) > 1 and priced <= 1 and (priced == 1 or several <= 2)
        grouped += [list(band)] if ruled else _by_distance(band, columns)
    return grouped


def _covers(rule: Rule, left: float, right: float) -> bool:
    """An edge that runs along at least one cell of the table."""
    return min(rule.x1, right) - max(rule.x0, left) > min(40.0, 0.25 * (right - left))


def _by_distance(lines: Sequence[Line], columns: Columns) -> list[list[Line]]:
    gaps = [above.y - below.y for above, below in pairwise(lines)]
    usual = median(gaps) if gaps else 0.0
    rows: list[list[Line]] = []
    for index, line in enumerate(lines):
        gap = gaps[index - 1] if index else 0.0
        if (rows and _continues(line, gap, usual, columns)) or (rows and _begins(rows[-1], gap, usual, columns)):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _begins(row: Sequence[Line], gap: float, usual: float, columns: Columns) -> bool:
    """Whether ``row`` is only the first lines of a tall first cell, whose other cells stand half-way down."""
    taken = {columns.of(segment) for line in row for segment in line.segments}
    return taken == {0} and not row[-1].bold and gap < 0.85 * usual


def _continues(line: Line, gap: float, usual: float, columns: Columns) -> bool:
    """Whether ``line`` is the rest of cells that began above it."""
    if gap < 0.95 * line.size:
        return True  # their letters overlap: cells of one row, centred against each other
    if is_price(line.text) and not PRICE.match(line.text):
        return False
    taken = {columns.of(segment) for segment in line.segments}
    close = gap < 1.5 * line.size
    if 0 not in taken:
        return close
    if len(taken) > 1 or line.bold:
        return False
    return close and (gap < 0.85 * usual or line.text[:1].islower() or line.text[:1] in "(&+-–,")
