"""Where the words of a PDF page stand. Points, origin at the bottom left, y upwards."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import pypdfium2 as pdfium
import pypdfium2.raw as c

MAX_CHARACTERS = 200_000
"""Per page. A page of a book has 3,000."""

_BOLD = re.compile(rb"bold|black|heavy|demi", re.I)
_CELL_GAP = 0.95
"""Of the font size. A space is about 0.28, in justified text up to 0.8; columns stand further apart."""


@dataclass(frozen=True, slots=True)
class Word:
    """``y`` is the baseline."""

    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Words of one line with no wide gap between them: all of a line of prose, or one cell."""

    words: tuple[Word, ...]

    @property
    def x0(self) -> float:
        return self.words[0].x0

    @property
    def x1(self) -> float:
        return max(word.x1 for word in self.words)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Line:
    """Segments from left to right on one baseline."""

    segments: tuple[Segment, ...]
    y: float
    size: float
    bold: bool

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def x0(self) -> float:
        return self.segments[0].x0

    @property
    def x1(self) -> float:
        return max(segment.x1 for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal edge: a drawn line, or the upper or lower side of a filled box."""

    x0: float
    x1: float
    y: float


@dataclass(slots=True)
class Page:
    words: list[Word]
    rules: list[Rule]
    height: float


@dataclass(slots=True)
class _Run:
    """A word that is being read."""

    x0: float = 0.0
    x1: float = 0.0
    y: float = 0.0
    size: float = 0.0
    bold: bool = False
    letters: list[str] = field(default_factory=list)

    def word(self) -> Word:
        return Word(self.x0, self.x1, self.y, self.size, self.bold, "".join(self.letters))


def read_page(page: pdfium.PdfPage) -> Page:
    """The words and horizontal edges of a page. ``ValueError`` when it holds absurdly many characters."""
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        if count > MAX_CHARACTERS:
            raise ValueError("too many characters on a page")
        words = list(_words(textpage.raw, count))
    finally:
        textpage.close()
    return Page(words, _rules(page), page.get_height())


def _words(text: ctypes.c_void_p, count: int) -> Iterator[Word]:
    run = _Run()
    box = c.FS_RECTF()
    x, y = ctypes.c_double(), ctypes.c_double()
    for index in range(count):
        letter = chr(c.FPDFText_GetUnicode(text, index))
        if letter.isspace() or letter in "\x00\xad\ufffe\u200b":
            if run.letters:
                yield run.word()
                run = _Run()
            continue
        c.FPDFText_GetLooseCharBox(text, index, box)
        c.FPDFText_GetCharOrigin(text, index, x, y)
        size = max(box.top - box.bottom, 1.0) / 1.15  # the box is ascent to descent, somewhat more than the font size
        if run.letters and not (abs(y.value - run.y) < 0.35 * size and -0.5 * size < box.left - run.x1 < 0.25 * size):
            yield run.word()
            run = _Run()
        if not run.letters:
            run.x0, run.y, run.size = box.left, y.value, size
            run.bold = _is_bold(text, index)
        run.x1 = max(box.right, run.x1) if run.letters else box.right
        run.letters.append(letter)
    if run.letters:
        yield run.word()


def _is_bold(text: ctypes.c_void_p, index: int) -> bool:
    """By weight or by the font's name: fonts that every reader has (Helvetica-Bold) state no weight."""
    if c.FPDFText_GetFontWeight(text, index) >= 600:
        return True
    name = ctypes.create_string_buffer(128)
    flags = ctypes.c_int()
    length = c.FPDFText_GetFontInfo(text, index, name, len(name), flags)
    return 0 < length <= len(name) and _BOLD.search(name.value) is not None


def _rules(page: pdfium.PdfPage) -> list[Rule]:
    found: list[Rule] = []
    for item in page.get_objects(filter=[c.FPDF_PAGEOBJ_PATH], max_depth=3):
        left, bottom, right, top = item.get_bounds()
        if right - left < 15:
            continue
        if top - bottom < 3:
            found.append(Rule(left, right, (top + bottom) / 2))
        elif top - bottom < 150:
            found += [Rule(left, right, bottom), Rule(left, right, top)]
    return found


def lines_of(words: list[Word]) -> list[Line]:
    """Words on one baseline, top of the page first."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda one: (-one.y, one.x0)):
        if rows and abs(rows[-1][0].y - word.y) < 0.35 * min(rows[-1][0].size, word.size):
            rows[-1].append(word)
        else:
            rows.append([word])
    return [_line(row) for row in rows]


def _line(words: list[Word]) -> Line:
    words = sorted(words, key=lambda one: one.x0)
    size = median(word.size for word in words)
    groups: list[list[Word]] = []
    broken = True
    for word in words:
        text = word.text.rstrip("." if word.text.count(".") > 2 else "").rstrip("…_")
        leader = text != word.text  # "peel......": dots lead to the next cell
        if text:
            kept = Word(word.x0, word.x1, word.y, word.size, word.bold, text)
            if broken or kept.x0 - groups[-1][-1].x1 > _CELL_GAP * size:
                groups.append([kept])
            else:
                groups[-1].append(kept)
        broken = leader or (broken and not text)
    bold = all(word.bold for group in groups for word in group) if groups else False
    return Line(tuple(Segment(tuple(group)) for group in groups), words[0].y, size, bold)
