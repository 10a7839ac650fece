"""Numbers in text, written in digits or in words, as values. American and British usage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
    "twentieth",
)

SMALL = {word: at for at, word in enumerate(_SMALL)}
TENS = {word: 10 * (at + 2) for at, word in enumerate(_TENS)}
SCALES = {"thousand": 1000, "million": 1_000_000}
ORDINALS = {**{word: at + 1 for at, word in enumerate(_ORDINALS)}, "thirtieth": 30}

_DIGITS = re.compile(r"\d+(?:\.\d+)?")


def number_at(words: Sequence[str], at: int) -> tuple[Decimal, int] | None:
    """The number that begins with ``words[at]`` and the position after it: "one hundred and twenty nine", "1200".

    ``words`` are lower-case, without commas inside digits. ``None`` when there is none.
    """
    if at >= len(words):
        return None
    if _DIGITS.fullmatch(words[at]):
        value, after = Decimal(words[at]), at + 1
        if after < len(words) and words[after] in SCALES:
            return value * SCALES[words[after]], after + 1
        return value, after
    return _in_words(words, at)


def _in_words(words: Sequence[str], at: int) -> tuple[Decimal, int] | None:
    if words[at] == "a" and at + 1 < len(words) and words[at + 1] in ("hundred", *SCALES):
        rest = _in_words(("one", *words[at + 1 :]), 0)
        return None if rest is None else (rest[0], at + rest[1])
    total, current, position, room = 0, -1, at, 1000
    while position < len(words):
        word = words[position]
        if word == "and" and current >= 100 and _is_small(words, position + 1) and room > 1:
            position += 1
            continue
        if word in SMALL and _fits(SMALL[word], current, room):
            current, room = max(current, 0) + SMALL[word], 1
        elif word in TENS and _fits(TENS[word], current, room):
            current, room = max(current, 0) + TENS[word], 10
        elif word == "hundred" and 0 < current < 100:
            current, room = current * 100, 100
        elif word in SCALES and current > 0:
            total, current, room = total + current * SCALES[word], 0, 1000
        else:
            break
        position += 1
    if position == at:
        return None
    return Decimal(total + max(current, 0)), position


def _fits(value: int, current: int, room: int) -> bool:
    """Whether a word may go on with the number so far: "twenty" + "nine" does, "nine" + "thirty" doesn't."""
    if current < 0:
        return True
    return 0 < value < room


def _is_small(words: Sequence[str], at: int) -> bool:
    return at < len(words) and (words[at] in SMALL or words[at] in TENS)


def ordinal_at(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """ "3rd", "third", "twenty first": the day and the position after it."""
    if at >= len(words):
        return None
    digits = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)", words[at])
    if digits:
        return int(digits[1]), at + 1
    if words[at] in ORDINALS:
        return ORDINALS[words[at]], at + 1
    if words[at] in ("twenty", "thirty") and at + 1 < len(words) and ORDINALS.get(words[at + 1], 99) < 10:
        return TENS[words[at]] + ORDINALS[words[at + 1]], at + 2
    return None
