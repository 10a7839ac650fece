"""Pieces to chunks of a size that retrieval can tell apart and a caller can be told. Pure.

* A row of a price list is a chunk of its own: ``Treatment: Velora peel | Duration: 45 min | Price: $129``. Several rows in
  one chunk made another row's price the nearest answer.
* A question with its answer is a chunk, the question its heading.
* Lines of other tables (opening hours) stay together up to :data:`MAX_WORDS`.
* Paragraphs under one heading are joined up to :data:`GOOD_WORDS` and split above :data:`MAX_WORDS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from semchunk.semchunk import chunk as split_by_meaning

from ingest_worker.chunking.structure import Piece, pieces_of
from ingest_worker.parsing.blocks import Block

GOOD_WORDS = 90
MAX_WORDS = 140
MAX_HEADING = 200
MAX_TEXT = 4000
"""Characters; a "word" may be anything."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A chunk before it is embedded."""

    heading: str
    text: str

    @property
    def embedded(self) -> str:
        """What the vector stands for."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


def chunk(blocks: Sequence[Block]) -> list[Draft]:
    """The chunks of a document in its order."""
    drafts: list[Draft] = []
    for (kind, heading), group in groupby(pieces_of(blocks), key=lambda piece: (piece.kind, piece.heading)):
        pieces = list(group)
        if kind == "row":
            texts = [piece.text for piece in pieces]
        elif kind == "lines":
            texts = list(_joined((piece.text for piece in pieces), MAX_WORDS))
        else:
            texts = [part for text in _paragraphs(pieces) for part in _split(text)]
        drafts += [Draft(heading[:MAX_HEADING], text[:MAX_TEXT]) for text in texts if text.strip()]
    return drafts


def _paragraphs(pieces: Sequence[Piece]) -> Iterator[str]:
    return _joined((piece.text for piece in pieces), GOOD_WORDS)


def _joined(texts: Iterator[str], most: int) -> Iterator[str]:
    """Neighbours on lines of their own, as long as they have ``most`` words together."""
    held: list[str] = []
    for text in texts:
        if held and _words("\n".join([*held, text])) > most:
            yield "\n".join(held)
            held = []
        held.append(text)
    if held:
        yield "\n".join(held)


def _split(text: str) -> list[str]:
    if _words(text) <= MAX_WORDS and len(text) <= MAX_TEXT:
        return [text]
    return [str(part) for part in split_by_meaning(text, chunk_size=MAX_WORDS, token_counter=_words, memoize=False)]


def _words(text: str) -> int:
    """Words, and long strings without spaces as if they had some."""
    return max(len(text.split()), len(text) // 20)
