"""What a model's stream says beside words: the tag in front, and where sentences end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["answered", "dont_know", "asked_again", "small_talk"]

_TAG = re.compile(r"\s*\[\s*([^\]\n]{0,20})\s*\]\s*")
_LONGEST_TAG = 24
_STRAY_TAG = re.compile(r"\[\s*(?:\d+(?:\s*,\s*\d+)*|none|again|chat|passages?\s*\d+)\s*\]", re.I)
_MARKS = re.compile(r"[*_#`|<>]+")

_END = re.compile(r"[.!?][\"')\]]*\s+(?=\S)")
_ABBREVIATED = re.compile(r"(?:\b(?:dr|mr|mrs|ms|st|no|ave|rd|e\.g|i\.e|approx|[ap]\.m)\.)$", re.I)


@dataclass(frozen=True, slots=True)
class Tag:
    """``passage``: the number of the passage used, from 1."""

    verdict: Verdict
    passage: int | None = None


NO_TAG = Tag("answered")


def read_tag(text: str, *, ended: bool) -> tuple[Tag, str] | None:
    """The tag in front of ``text`` and the words after it; ``None`` while it may still be coming."""
    match = _TAG.match(text)
    if match is None:
        begun = text.lstrip()
        if not ended and (not begun or (begun.startswith("[") and len(begun) < _LONGEST_TAG)):
            return None
        return NO_TAG, text
    word = match[1].lower()
    rest = text[match.end() :]
    if word in ("none", "again", "chat"):
        verdicts: dict[str, Verdict] = {"none": "dont_know", "again": "asked_again", "chat": "small_talk"}
        return Tag(verdicts[word]), rest
    number = re.search(r"\d+", word)
    return (Tag("answered", int(number[0])) if number else NO_TAG), rest


class Sentences:
    """Whole sentences out of tokens."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, token: str) -> list[str]:
        """Those that are complete: something follows them."""
        self._text += token
        found: list[str] = []
        searched = 0
        while (match := _END.search(self._text, searched)) is not None:
            sentence = self._text[: match.end()].rstrip()
            if _ABBREVIATED.search(sentence) and not sentence.endswith(("!", "?")):
                searched = match.end()
                continue
            found.append(sentence)
            self._text = self._text[match.end() :]
            searched = 0
        return [clean for sentence in found if (clean := speakable(sentence))]

    def rest(self) -> str:
        """What is left at the end, or when the stream broke."""
        text, self._text = self._text, ""
        return speakable(text)


def speakable(text: str) -> str:
    """``text`` without what nobody should hear: tags, markdown."""
    plain = re.sub(r"\s+", " ", _MARKS.sub(" ", _STRAY_TAG.sub(" ", text)))
    return re.sub(r" (?=[,.;?!])", "", plain).strip()
