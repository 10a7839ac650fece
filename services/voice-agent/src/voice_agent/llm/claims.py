"""What a sentence claims that can be checked: amounts, numbers, phone numbers, times of day, dates, weekdays.

A claim has one or more readings ("one twenty nine" may be 129 or 1:29), each a set of facts; it holds when all facts of
one reading do. Facts are plain tuples, so that they can be compared: ``("number", value, unit)`` with unit "", "money",
"percent", "minute", "hour", ...; ``("time", minutes, half)``, minutes after midnight or noon, half "am", "pm" or "";
``("phone", digits, "")``; ``("date", month, day)``; ``("month", month, "")``; ``("weekday", 0..6, "")``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from voice_agent.llm.spoken_numbers import SMALL, number_at, ordinal_at

Fact = tuple[str, object, object]
Reading = tuple[Fact, ...]
Claim = tuple[Reading, ...]

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT_DAYS = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_SHORT_MONTHS = {name[:3]: at + 1 for at, name in enumerate(_MONTHS)} | {"sept": 9}
_ALSO_WORDS = ("march", "may", "mar", "jan", "dec", "sec")
"""Names of months that mean something else too: they are months beside a day only."""

_UNITS = {
    **dict.fromkeys(("dollar", "dollars", "bucks", "usd", "euro", "euros", "eur", "pound", "pounds", "gbp"), "money"),
    **dict.fromkeys(("percent", "percentage"), "percent"),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), "minute"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), "hour"),
    **dict.fromkeys(("day", "days"), "day"),
    **dict.fromkeys(("week", "weeks"), "week"),
    **dict.fromkeys(("month", "months"), "month"),
    **dict.fromkeys(("year", "years"), "year"),
}

_PHONE = re.compile(
    r"\+\d[\d .()-]{6,18}\d|(?<![\d.,:])(?:\(\d{3}\) ?|\d{3}[ .-])?\d{3}[ .-]\d{4}(?![\d:])|(?<![\d.,:])\d{7,15}(?![\d:])"
)
_ISO_DATE = re.compile(r"\b\d{4}-(\d{1,2})-(\d{1,2})\b")
_SLASH_DATE = re.compile(r"\b(\d{1,2})/(\d{1,2})(?:/\d{2,4})?\b")
_CLOCK = re.compile(r"\b(\d{1,2})(?::(\d{2})|\.(\d{2})(?=\s?[ap]\.?m\b))(?:\s?([ap])\.?m\b\.?)?", re.I)
_WHOLE_HOUR = re.compile(r"\b(\d{1,2})\s?([ap])\.?m\b\.?", re.I)
_MONEY = re.compile(r"[$€£]\s?(\d+(?:\.\d+)?)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%")
_WORD = re.compile(r"\d+(?:\.\d+)?(?:st|nd|rd|th)?|[a-z]+(?:'[a-z]+)?")


def claims(text: str) -> Iterator[Claim]:
    """Everything in ``text`` that has to stand somewhere."""
    yield from _claims(text, lenient=False)


def facts(text: str) -> Iterator[Fact]:
    """Everything that ``text`` supports, in every reading; abbreviations and ranges of days included."""
    for claim in _claims(text, lenient=True):
        for reading in claim:
            yield from reading
    yield from _ranges_of_days(text.lower())


def _claims(text: str, *, lenient: bool) -> Iterator[Claim]:
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.replace("\u2019", "'"))
    text = re.sub(r"\b([ap])\s+m\b", r"\1m", text, flags=re.I)
    found: list[Claim] = []

    def take(pattern: re.Pattern[str], read: object) -> None:
        nonlocal text

        def one(match: re.Match[str]) -> str:
            assert callable(read)
            claim = read(match)
            if claim is None:
                return match[0]
            found.append(claim)
            return " , "

        text = pattern.sub(one, text)

    take(_ISO_DATE, lambda m: ((("date", int(m[1]), int(m[2])),),))
    take(_PHONE, lambda m: ((("phone", re.sub(r"\D", "", m[0]), ""),),))
    take(_CLOCK, lambda m: _clock(m[1], m[2] or m[3], m[4]))
    take(_WHOLE_HOUR, lambda m: _clock(m[1], "0", m[2]))
    take(_SLASH_DATE, _slash_date)
    take(_MONEY, lambda m: ((("number", Decimal(m[1]).normalize(), "money"),),))
    take(_PERCENT, lambda m: ((("number", Decimal(m[1]).normalize(), "percent"),),))
    yield from found
    yield from _in_words(_WORD.findall(text.lower().replace("-", " ")), lenient=lenient)


def _clock(hour: str, minute: str, half: str | None) -> Claim | None:
    h, m = int(hour), int(minute)
    if h > 24 or m > 59:
        return None
    if half is None and h >= 13:
        half = "p" if h < 24 else "a"
    elif half is None and (h == 0 or hour.startswith("0")):
        half = "a"
    return ((time_of_day(h, m, f"{half.lower()}m" if half else ""),),)


def time_of_day(hour: int, minute: int, half: str = "") -> Fact:
    return ("time", hour % 12 * 60 + minute, half)


def _slash_date(match: re.Match[str]) -> Claim | None:
    first, second = int(match[1]), int(match[2])
    readings = [
        (("date", month, day),)
        for month, day in ((first, second), (second, first))
        if 1 <= month <= 12 and 1 <= day <= 31
    ]
    return tuple(readings) or None


def _in_words(words: list[str], *, lenient: bool) -> Iterator[Claim]:
    at = 0
    while at < len(words):
        for read in (_named_date, _day_names, _relative_time, _digits_one_by_one, _quantity):
            result = read(words, at, lenient)
            if result is not None:
                claim, at = result
                if claim:
                    yield claim
                break
        else:
            at += 1


_Read = tuple[Claim, int] | None


def _month(word: str) -> int | None:
    return _MONTHS.index(word) + 1 if word in _MONTHS else _SHORT_MONTHS.get(word)


def _day(words: list[str], at: int) -> tuple[int, int] | None:
    """A day of a month, "3rd", "third" or "3"."""
    ordinal = ordinal_at(words, at)
    if ordinal is not None:
        return ordinal
    number = number_at(words, at)
    if number is not None and 1 <= number[0] <= 31 and number[0] == int(number[0]):
        return int(number[0]), number[1]
    return None


def _named_date(words: list[str], at: int, lenient: bool) -> _Read:
    month = _month(words[at])
    if month is not None:
        day = _day(words, at + 1)
        if day is not None:
            return ((("date", month, day[0]),),), day[1]
        if words[at] in _ALSO_WORDS or (len(words[at]) < 4 and not lenient):
            return (), at + 1
        return ((("month", month, ""),),), at + 1
    day = _day(words, at)
    if day is None:
        return None
    after = day[1] + 1 if day[1] < len(words) and words[day[1]] == "of" else day[1]
    month = _month(words[after]) if after < len(words) else None
    return None if month is None else (((("date", month, day[0]),),), after + 1)


def _day_names(words: list[str], at: int, lenient: bool) -> _Read:
    word = words[at].removesuffix("'s")
    if word.removesuffix("s") in _WEEKDAYS:
        return ((("weekday", _WEEKDAYS.index(word.removesuffix("s")), ""),),), at + 1
    if word in ("weekdays", "weekday"):
        return (tuple(("weekday", day, "") for day in range(5)),), at + 1
    if word in ("weekend", "weekends"):
        return (tuple(("weekday", day, "") for day in (5, 6)),), at + 1
    if lenient and word in _SHORT_DAYS:
        return ((("weekday", _SHORT_DAYS[word], ""),),), at + 1
    return None


def _relative_time(words: list[str], at: int, _lenient: bool) -> _Read:
    """ "noon", "half past nine", "quarter to ten", "twenty past nine"."""
    if words[at] in ("noon", "midday", "midnight"):
        return ((time_of_day(12, 0, "am" if words[at] == "midnight" else "pm"),),), at + 1
    minutes = {"half": 30, "quarter": 15}.get(words[at])
    link = at + 1
    if minutes is None:
        number = number_at(words, at)
        if number is None or number[0] not in (5, 10, 20, 25):
            return None
        minutes, link = int(number[0]), number[1]
    if link >= len(words) or words[link] not in ("past", "after", "to"):
        return None
    hour = number_at(words, link + 1)
    if hour is None or not 1 <= hour[0] <= 12:
        return None
    if words[link] == "to" and words[at] != "quarter":
        # "ten to nine" is 8:50, or from ten to nine
        both = tuple(_bare(Decimal(value)) for value in (minutes, hour[0]))
        return ((time_of_day(int(hour[0]) - 1, 60 - minutes),), both), hour[1]
    of_day = time_of_day(int(hour[0]) - 1, 60 - minutes) if words[link] == "to" else time_of_day(int(hour[0]), minutes)
    return ((of_day,),), hour[1]


def _digits_one_by_one(words: list[str], at: int, _lenient: bool) -> _Read:
    """A telephone number as it is spoken: "five five five, oh one two three"."""
    digits = ""
    end = at
    while end < len(words) and (words[end] == "oh" or SMALL.get(words[end], 99) < 10 or len(words[end]) == 1):
        if words[end].isalpha() and len(words[end]) == 1:
            break
        digits += "0" if words[end] == "oh" else str(SMALL.get(words[end], words[end]))
        end += 1
    return (((("phone", digits, ""),),), end) if len(digits) >= 5 else None


def _bare(value: Decimal) -> Fact:
    return ("number", value.normalize(), "")


def _quantity(words: list[str], at: int, lenient: bool) -> _Read:
    number = number_at(words, at)
    if number is None:
        return None
    value, after = number
    following = words[after] if after < len(words) else ""
    if value <= 12 and following in ("am", "pm", "o'clock"):
        return ((time_of_day(int(value), 0, following if following != "o'clock" else ""),),), after + 1
    pair = _two_numbers(words, value, after)
    if pair is not None:
        return pair
    unit = _UNITS.get(following, "")
    if unit == "money":
        return _with_cents(words, value, after + 1)
    if following in ("cent", "cents", "pence"):
        return ((("number", (value / 100).normalize(), "money"),),), after + 1
    if words[at] == "one" and after == at + 1 and not unit and not lenient:
        return (), after  # "which one", "one of us": seldom a number
    return ((("number", value.normalize(), unit),),), after + (1 if unit else 0)


def _with_cents(words: list[str], value: Decimal, after: int) -> _Read:
    start = after + 1 if after < len(words) and words[after] == "and" else after
    cents = number_at(words, start)
    if cents is not None and cents[0] < 100 and cents[1] < len(words) and words[cents[1]] in ("cent", "cents", "pence"):
        return ((("number", (value + cents[0] / 100).normalize(), "money"),),), cents[1] + 1
    return ((("number", value.normalize(), "money"),),), after


def _two_numbers(words: list[str], first: Decimal, after: int) -> _Read:
    """ "nine thirty", "nine oh five", "one twenty nine": a time, or a number without its "hundred"."""
    if not 1 <= first <= 99 or first != int(first) or after >= len(words):
        return None
    if words[after] == "oh":
        second = number_at(words, after + 1)
        if second is None or second[0] > 9:
            return None
    else:
        second = number_at(words, after)
        if second is None or not 10 <= second[0] <= 99 or words[after][0].isdigit():
            return None
    end = second[1]
    half = words[end] if end < len(words) and words[end] in ("am", "pm") else ""
    unit = _UNITS.get(words[end], "") if end < len(words) else ""
    readings: list[Reading] = []
    if first <= 12 and second[0] < 60 and not unit:
        readings.append((time_of_day(int(first), int(second[0]), half),))
    if not half:
        readings.append((("number", (first * 100 + second[0]).normalize(), unit),))
        readings.append((_bare(first), ("number", second[0].normalize(), unit)))
    return tuple(readings), end + (1 if half or unit else 0)


def _ranges_of_days(text: str) -> Iterator[Fact]:
    """ "Mon-Fri", "Tuesday to Thursday", "daily"."""
    names = "|".join([*_WEEKDAYS, *sorted(_SHORT_DAYS, key=len, reverse=True)])
    for match in re.finditer(rf"\b({names})s?\.?\s*(?:-|–|—|to|through|thru|until)\s*({names})", text):
        first, last = (_SHORT_DAYS[name[:3]] for name in match.groups())
        for step in range((last - first) % 7 + 1):
            yield ("weekday", (first + step) % 7, "")
    if re.search(r"\b(?:daily|every ?day|seven days|7 days|24/7|all week)\b", text):
        for day in range(7):
            yield ("weekday", day, "")
