"""Text as it is said aloud: prices, times, ranges, telephone numbers and abbreviations become words.

One table serves both directions: what espeak-ng reads out (``spoken``) and the words the language model may expect
(``words``), so that a caller who repeats what the agent said is heard. Pure functions, English only.
"""

import re

_ONES = (  # noqa: SIM905  (readable)
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_CURRENCIES = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}
_ABBREVIATIONS = {
    "mon": "monday",
    "tue": "tuesday",
    "tues": "tuesday",
    "wed": "wednesday",
    "thu": "thursday",
    "thur": "thursday",
    "thurs": "thursday",
    "fri": "friday",
    "sat": "saturday",
    "sun": "sunday",
    "dr": "doctor",
    "mr": "mister",
    "mrs": "missus",
    "st": "street",
    "ave": "avenue",
    "blvd": "boulevard",
    "rd": "road",
    "min": "minutes",
    "mins": "minutes",
    "hr": "hour",
    "hrs": "hours",
    "appt": "appointment",
    "approx": "about",
    "incl": "including",
    "no.": "number",
    "vs": "versus",
    "e.g": "for example",
    "i.e": "that is",
    "etc": "and so on",
}
_DAYS = "mon|tues?|wed|thu(?:rs?)?|fri|sat|sun"

_AMOUNT = r"\d{1,3}(?:,\d{3})+|\d+"
_PRICE = re.compile(rf"([$€£])\s?({_AMOUNT})(?:\.(\d{{2}}))?")
_PRICE_AFTER = re.compile(rf"\b({_AMOUNT})(?:\.(\d{{2}}))?\s?(USD|EUR|GBP|dollars)\b")
_PHONE = re.compile(r"(?<!\d)(?:\+\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])?\d{3}[ .-]\d{4}(?!\d)")
_HALF = r"\s?([ap])(?:m\b|\.m\b(?:\.(?!\s+(?-i:[A-Z])|\s*$))?)"  # a full stop that ends the sentence stays
_CLOCK = re.compile(rf"\b(\d{{1,2}})[:.](\d{{2}}){_HALF}|\b(\d{{1,2}}):(\d{{2}})\b|\b(\d{{1,2}}){_HALF}", re.I)
_DAY_RANGE = re.compile(rf"\b({_DAYS})\.?\s?[-–—]\s?({_DAYS})\b\.?", re.I)
_LONG_DAY_RANGE = re.compile(r"\b((?:mon|tues|wednes|thurs|fri|satur|sun)day)s?\s?[-–—]\s?(?=\w+day)", re.I)
_ABBREVIATION = re.compile(r"\b(" + "|".join(re.escape(k.rstrip(".")) for k in _ABBREVIATIONS) + r")\b(\.?)", re.I)
_TITLES = {"dr", "mr", "mrs", "st"}
_NEEDS_DOT = {"st", "sun", "sat", "no", "wed", "min", "mr", "mon"}
_NUMBER_RANGE = re.compile(r"(?<=\d)\s?[-–—]\s?(?=[$€£]?\d)")


def number_words(value: int) -> str:
    """A whole number as words, American style ("one hundred twenty nine"). Raises ValueError below zero."""
    if value < 0:
        raise ValueError(f"value: {value} is negative; say the sign before calling")
    if value < 20:
        return _ONES[value]
    if value < 100:
        tens, ones = divmod(value, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    for size, name in ((1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            head, rest = divmod(value, size)
            return f"{number_words(head)} {name}" + (f" {number_words(rest)}" if rest else "")
    raise AssertionError("unreachable")


def ordinal_words(value: int) -> str:
    """1 -> "first", 22 -> "twenty second"."""
    head, _, last = number_words(value).rpartition(" ")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head} {last}".strip()


def digits_words(text: str) -> str:
    """Each digit on its own; groups keep a comma, so that the voice pauses between them."""
    groups = re.findall(r"\d+", text)
    return ", ".join(" ".join(_ONES[int(d)] for d in group) for group in groups)


def clock_words(hour: int, minute: int, half: str | None = None) -> str:
    """A time of day; `half` is "a", "p" or None. 24-hour times above 12 become afternoon times."""
    if half is None and hour >= 13:
        hour, half = hour - 12, "p"
    elif half is None and hour == 0:
        hour, half = 12, "a"
    if hour == 12 and minute == 0 and half:
        return "noon" if half == "p" else "midnight"
    said = number_words(hour)
    if minute:
        said += f" oh {_ONES[minute]}" if minute < 10 else f" {number_words(minute)}"
    elif half is None:
        said += " o'clock"
    # capitals, or the voice reads "a m" as the article and a hum
    return said + (f" {half.upper()}M" if half else "")


def money_words(amount: int, cents: int = 0, sign: str = "$") -> str:
    """129 -> "129 dollars"; digits stay digits, the voice reads them well and a transcript stays readable."""
    unit, small = _CURRENCIES[sign]
    said = f"{amount} {unit}" + ("" if amount == 1 else "s")
    if cents:
        plural = (
            "pence" if small == "penny" and cents != 1 else small + ("s" if cents != 1 and small != "penny" else "")
        )
        said += f" and {cents} {plural}"
    return said


def _price(match: re.Match[str]) -> str:
    return money_words(int(match[2].replace(",", "")), int(match[3] or 0), match[1])


def _price_after(match: re.Match[str]) -> str:
    sign = {"USD": "$", "dollars": "$", "EUR": "€", "GBP": "£"}[match[3]]
    return money_words(int(match[1].replace(",", "")), int(match[2] or 0), sign)


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = match[1] or match[4] or match[6], match[2] or match[5] or "0", match[3] or match[7]
    if int(hour) > 24 or int(minute) > 59:
        return match[0]
    return clock_words(int(hour), int(minute), half.lower() if half else None)


def _abbreviation(match: re.Match[str]) -> str:
    short = match[1].lower()
    if short in _NEEDS_DOT and not match[2] and not match[1][0].isupper():
        return match[0]
    if short in {"st", "no"} and not match[2]:
        return match[0]
    full = _ABBREVIATIONS.get(short) or _ABBREVIATIONS[short + "."]
    # "Dr. Smith" goes on, "takes 30 min." ends a sentence
    ends = match[2] and short not in _TITLES and re.match(r"\s*$|\s+[A-Z]", match.string[match.end() :])
    return (full.capitalize() if match[1][0].isupper() else full) + ("." if ends else "")


def spoken(text: str) -> str:
    """The sentence a voice should be given. Idempotent; layout marks (bullets, pipes, hashes) are dropped."""
    text = re.sub(r"[*_#`|]+", " ", text)
    text = _PHONE.sub(lambda m: digits_words(m[0]), text)
    text = _DAY_RANGE.sub(r"\1. to \2.", text)
    text = _LONG_DAY_RANGE.sub(r"\1 to ", text)
    text = _NUMBER_RANGE.sub(" to ", text)
    text = re.sub(r"(?<=[ap])(m|\.m\.?)\s?[-–—]\s?(?=\d)", r"\1 to ", text, flags=re.I)
    text = _PRICE.sub(_price, text)
    text = _PRICE_AFTER.sub(_price_after, text)
    text = _CLOCK.sub(_clock, text)
    text = re.sub(r"(\d)\s?%", r"\1 percent", text)
    text = text.replace("&", " and ").replace("@", " at ")
    text = re.sub(r"\b24/7\b", "around the clock", text)
    text = re.sub(r"(?<=\w)\s?/\s?(?=\w)", " or ", text)
    text = _ABBREVIATION.sub(_abbreviation, text)
    text = re.sub(r"\s+[-–—]+\s+|[–—]", ", ", text)
    text = re.sub(r"\s+([,.;?!])", r"\1", text)
    return re.sub(r"\s+", " ", text).strip()


def words(text: str) -> list[str]:
    """Lower-case words as a recogniser spells them: numbers spelt out, no punctuation but the apostrophe."""
    text = re.sub(r"\b([AP])M\b", r"\1 m", spoken(text)).lower().replace("’", "'")
    text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal_words(int(m[1])), text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"\d+", lambda m: f" {number_words(int(m[0]))} " if len(m[0]) < 13 else " ", text)
    found = re.findall(r"[a-zà-öø-ÿ]+(?:'[a-zà-öø-ÿ]+)*", text)
    return [w for w in found if w != "'"]


_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[A-Z0-9\"'(])")


def sentences(text: str, *, longest: int = 220) -> list[str]:
    """Splits prose so that the first audio can start early; a very long sentence is split at a comma or semicolon.

    `longest` is in characters. Abbreviations are expected to be gone (call `spoken` first).
    """
    found: list[str] = []
    for sentence in _SENTENCE_END.split(text.strip()):
        while len(sentence) > longest:
            cut = max(sentence.rfind(mark, 40, longest) for mark in (", ", "; ", ": "))
            if cut < 0:
                cut = sentence.rfind(" ", 0, longest)
            if cut <= 0:
                break
            found.append(sentence[: cut + 1].strip())
            sentence = sentence[cut + 1 :].strip()
        if sentence.strip():
            found.append(sentence.strip())
    return found
