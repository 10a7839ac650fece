"""Plain text and Markdown to blocks. Pure."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from ingest_worker.parsing.blocks import PRICE, Block, Heading, Paragraph, Table
from ingest_worker.parsing.problems import EMPTY, NOT_TEXT, Unreadable
from ingest_worker.parsing.tables import find_header, is_price

_ATX = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_SETEXT = re.compile(r"^(=+|-{3,})$")
_RULE_LINE = re.compile(r"^[\s|:\-=_+*]+$")
_BOLD_LINE = re.compile(r"^(?:\*\*|__)(.+?)(?:\*\*|__):?$")
_RUN_IN = re.compile(r"^(?:\*\*|__)([^*_]{2,60}?)[.:]?(?:\*\*|__)[.:]?\s+(?=\S+\s+\S)")
"""**At home.** Keep the wound dry: a heading on the line that it stands over."""
_TITLE = re.compile(r"^[A-Z0-9][^|:.!?,;$€£]{2,59}$")
_LIST_ITEM = re.compile(r"^\s*(?:[-*+•·▪]|\d{1,2}[.)])\s+")
_CELL_BREAK = re.compile(r"\t+|\s{3,}|\s*\.{3,}\s*|\s*…+\s*|\s{2,}(?=[$€£\d])")
_PAIR = re.compile(rf"^(.{{2,80}}?)\s*(?:\s[-–—]\s|:\s|=\s)\s*((?:from |starting at |up to )?{PRICE.pattern}.*)$", re.I)
_QUESTION_MARK = re.compile(r"^\W*(?:q|question)\s?\d*\s?[:.)]\s", re.I)

_TITLE_WORDS, _SENTENCE_WORDS = 6, 5

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
for _encoding in ENCODINGS:
    codecs.lookup(_encoding)  # Python loads codecs from files when they are first used; the parser can't open any then


def decode(data: bytes) -> str:
    """The text of a file; :class:`Unreadable` when it is none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(data, encoding)
    try:
        return _checked(data, "utf-8")
    except Unreadable:
        return _checked(data, "cp1252")  # what older Windows programs write


def _checked(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(NOT_TEXT) from None
    strange = sum(1 for letter in text if ord(letter) < 32 and letter not in "\t\n\r\f\v\x1b")
    if "\x00" in text or strange > 0.01 * len(text):
        raise Unreadable(NOT_TEXT)
    return text


def parse_text(data: bytes) -> list[Block]:
    """The blocks of a text or Markdown file; :class:`Unreadable` when it holds no text."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n")
    reader = _Reader([line.rstrip() for line in text.split("\n")])
    blocks = reader.read()
    if not blocks:
        raise Unreadable(EMPTY)
    return blocks


def _clean(text: str) -> str:
    """Without Markdown's marks; links keep their words."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(\*\*|__|`)", "", text)
    return re.sub(r"\s+", " ", re.sub(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)", "", text)).strip()


class _Reader:
    """One pass; a paragraph and a table may be open."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.blocks: list[Block] = []
        self.paragraph: list[str] = []
        self.rows: list[tuple[str, ...]] = []

    def read(self) -> list[Block]:
        for index, line in enumerate(self.lines):
            following = self.lines[index + 1] if index + 1 < len(self.lines) else ""
            before = self.lines[index - 1] if index else ""
            if not before.strip() and self._is_title(line.strip(), index):
                self._heading(_clean(line), 4)
                continue
            self._line(line, before, following)
        self._close()
        return self.blocks

    def _line(self, line: str, before: str, following: str) -> None:
        bare = line.strip()
        if not bare:
            if self._table_pauses(following):
                return
            self._close()
        elif atx := _ATX.match(bare):
            self._heading(_clean(atx[2]), len(atx[1]))
        elif _SETEXT.match(bare) and before.strip():
            return  # the line above became a heading when it was read
        elif _RULE_LINE.match(bare):
            if "|" not in bare:
                self._close()
        elif (cells := split_cells(bare)) is not None:
            self._close_paragraph()
            if self.rows and len(self.rows[0]) != len(cells):
                self._close_table()
            self.rows.append(tuple(_clean(cell) for cell in cells))
        elif (level := self._heading_level(bare, before, following)) is not None:
            self._heading(_clean(bare), level)
        else:
            self._close_table()
            self._text(line)

    def _is_title(self, bare: str, index: int) -> bool:
        """A few words on a line of their own over a whole sentence or a row with a price: a heading without marks."""
        if not _TITLE.match(bare) or len(bare.split()) > _TITLE_WORDS or split_cells(bare) is not None:
            return False
        below = next((line.strip() for line in self.lines[index + 1 : index + 3] if line.strip()), "")
        if split_cells(below) is not None:
            return is_price(below) and bool(self.lines[index + 1].strip())
        return len(below.split()) >= _SENTENCE_WORDS and below.endswith((".", "!")) and not _LIST_ITEM.match(below)

    def _table_pauses(self, following: str) -> bool:
        """Blank lines between the rows of a table don't end it."""
        return bool(self.rows) and split_cells(following.strip()) is not None

    def _heading_level(self, bare: str, before: str, following: str) -> int | None:
        if _SETEXT.match(following.strip()) and not _LIST_ITEM.match(bare):
            return 1 if following.strip().startswith("=") else 2
        if bold := _BOLD_LINE.match(bare):
            return 4 if not bold[1].endswith((".", "!")) else None
        if before.strip() or len(bare) > 70 or _LIST_ITEM.match(bare) or not re.search(r"[^\W\d_]{2}", bare):
            return None
        if bare.isupper() and not bare.endswith((".", "!")):
            return 3
        return 4 if bare.endswith(":") and following.strip() and not _QUESTION_MARK.match(bare) else None

    def _heading(self, text: str, level: int) -> None:
        self._close()
        if text.rstrip(":"):
            self.blocks.append(Heading(text.rstrip(":"), level))

    def _text(self, line: str) -> None:
        line = _RUN_IN.sub(r"\1: ", line)
        bare = _clean(_LIST_ITEM.sub("", line) if not _QUESTION_MARK.match(line) else line)
        if self.paragraph and _QUESTION_MARK.match(bare):
            self._close_paragraph()
        if not bare:
            return
        # A line that ends early was ended on purpose; the others were only wrapped.
        wrapped = bool(self.paragraph) and len(self.paragraph[-1]) > 55 and not _LIST_ITEM.match(line)
        if wrapped and not self.paragraph[-1].endswith("?"):
            self.paragraph[-1] = f"{self.paragraph[-1]} {bare}"
        else:
            self.paragraph.append(bare)

    def _close_paragraph(self) -> None:
        if self.paragraph:
            self.blocks.append(Paragraph("\n".join(self.paragraph)))
        self.paragraph = []

    def _close_table(self) -> None:
        if self.rows:
            named = find_header(self.rows, False)
            rows = self.rows[1:] if named else self.rows
            self.blocks.append(Table(self.rows[0] if named else None, tuple(rows)))
        self.rows = []

    def _close(self) -> None:
        self._close_paragraph()
        self._close_table()


def split_cells(line: str) -> list[str] | None:
    """The cells of a line that is a row of a table; None for a line of text."""
    if line.count("|") >= (1 if line.startswith("|") else 2) or (line.count("|") == 1 and is_price(line)):
        return [cell.strip() for cell in line.strip("|").split("|")]
    bare = _LIST_ITEM.sub("", line)
    cells = [cell.strip() for cell in _CELL_BREAK.split(bare) if cell.strip()]
    if len(cells) > 1 and ("\t" in line or is_price(line)) and all(len(cell) <= 80 for cell in cells):
        return cells
    pair = _PAIR.match(bare)
    if pair and not pair[1].endswith((".", "?")) and len(pair[1].split()) <= 8 and len(bare) <= 120:
        return [pair[1].strip(), pair[2].strip()]
    return None
