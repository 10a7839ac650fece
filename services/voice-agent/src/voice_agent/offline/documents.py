"""What a passage states, as facts that can be said aloud: price rows, questions with answers, hours, labelled lines.

Pure. It reads the layouts that ingestion produces from price lists and FAQs: Markdown tables, dotted or dashed
lines, "name" and "price" on lines of their own, "Q:/A:" pairs, a question as the heading, "Label: text" and prose.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["price", "answer", "hours", "prose"]

PRICE = re.compile(
    r"(?:from |starting at |up to )?[$€£]\s?\d[\d,]*(?:\.\d\d)?(?:\s?(?:[-–—]|to)\s?[$€£]?\s?\d[\d,]*(?:\.\d\d)?)?"
    r"(?:\s?(?:per|/|an?|each)\s?[a-z]+)?|\b\d[\d,]*(?:\.\d\d)?\s?(?:USD|EUR|GBP|dollars)\b",
    re.I,
)
_DAY = r"(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?s?\.?"
_DAYS_LABEL = re.compile(
    rf"^(?:{_DAY}(?:\s?(?:[-–—,&]|to|through|and)\s?{_DAY})*|weekdays|weekends|(?:public )?holidays|every day|daily)"
    r"\s*[:|\-–—\t ]\s*(?=.*(?:\d|closed|noon|open|appointment))",
    re.I,
)
_QUESTION = re.compile(r"^(?:\W*(?:q|question)\s?\d*\s?[:.)]\s*)?(.{3,160}\?)\W*$", re.I)
_ANSWER_MARK = re.compile(r"^\W*(?:a|answer)\s?\d*\s?[:.)]\s*", re.I)
_INLINE_QA = re.compile(
    r"^\W*(?:q(?:uestion)?\s?\d*\s?[:.)]\s*)?([^?|]{3,160}\?)\s+(?:a(?:nswer)?\s?[:.)]\s*)?(\S.+)$", re.I
)
_LABELLED = re.compile(r"^\W*([A-Za-z][A-Za-z' &/-]{2,40}?)\s?[:–—]\s+(\S.{3,})$")
_PROSE_PRICE = re.compile(
    r"^(?:an?|the|our|each)?\s?(.{3,60}?)\s(?:costs?|is priced at|are priced at|is|are)\s(?:only\s)?$", re.I
)
_VERB = re.compile(r"\b(is|are|we|you|your|our|please|will|may|can|if|must|charge[ds]?|costs?)\b", re.I)
_TABLE_LABELS = re.compile(
    r"^(treatments?|services?|items?|names?|procedures?|prices?|costs?|fees?|durations?|times?|minutes|description|"
    r"details|notes?|rates?|amount|usd|length|category)\b[^:]*$",
    re.I,
)
_ROW_WORDS = 8  # a line under a question that has more is a sentence, not a row
_RULE = re.compile(r"^[\s|:\-=_+*]+$")


@dataclass(frozen=True)
class Fact:
    """One thing that a passage states. `subject` is what it is about, `says` the stated text, `quote` its source span.

    For kind "price" `says` is the price as written and `details` holds (column label, text) of the other cells.
    """

    kind: Kind
    subject: str
    says: str
    quote: str
    details: tuple[tuple[str, str], ...] = ()


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[*_#`]+|^\s*[-•·▪]\s+", " ", text)).strip(" .:-–—|\t…,;")


def _is_item(text: str) -> bool:
    count = len(text.split())
    return 0 < count <= 8 and any(c.isalpha() for c in text) and not _VERB.search(text) and "?" not in text


def _price_row(line: str) -> Fact | None:
    prices = list(PRICE.finditer(line))
    if not prices:
        return None
    before, price, after = line[: prices[0].start()], prices[0][0].strip(), line[prices[-1].end() :]
    if prose := _PROSE_PRICE.match(before.strip() + " "):
        item = _tidy(prose[1])
        return Fact("price", item, price, line.strip()) if _is_item(item) else None
    name = re.split(r"\.{2,}|…|\t| {2,}|\s[-–—]\s|[:(]", re.sub(r"^\W*(?:[-•·▪]|\d+[.)])\s+", "", before).strip())
    item = _tidy(name[0]) if name else ""
    if len(name) > 1 and ":" in before and len(" ".join(name[1:]).split()) > _ROW_WORDS // 2:
        return None  # "Payment: We take cards. For operations we ask for a deposit of $50."
    if not _is_item(item) or len(after.split()) > 10:
        return None
    details = [("", _tidy(part)) for part in (*name[1:], after) if _tidy(part.strip("() "))]
    details += [("", more[0].strip()) for more in prices[1:]]
    return Fact("price", item, price, line.strip(), tuple((k, v.strip("() ")) for k, v in details))


def _label(text: str) -> str:
    return text.strip().strip("*").strip() if _TABLE_LABELS.match(text.strip().strip("*")) else ""


def _table_row(cells: list[str], header: list[str]) -> Fact | None:
    labels, values = list(header) + [""] * (len(cells) - len(header)), list(cells)
    labelled = [cell.partition(": ") for cell in cells]
    row = len(cells) > 1 and all(rest.strip() and len(label.split()) <= 3 for label, _, rest in labelled)
    for at, (label, _, rest) in enumerate(labelled):
        if rest.strip() and (row or _label(label)):
            labels[at], values[at] = label.strip(), rest.strip()
    quote = " | ".join(cells)
    priced = [at for at, value in enumerate(values) if PRICE.search(value)]
    if not priced:
        bare = [
            at
            for at, v in enumerate(values)
            if re.fullmatch(r"\d[\d,]*(?:\.\d\d)?", v) and re.match(r"(?i)price|cost|fee|rate|amount|usd", labels[at])
        ]
        values = [f"${v}" if at in bare else v for at, v in enumerate(values)]
        priced = bare
    named = [at for at, value in enumerate(values) if at not in priced and re.search(r"[A-Za-z]{3}", value)]
    if not priced or not named:
        return None
    item = next((at for at in named if re.match(r"(?i)treat|service|item|name|proced", labels[at])), named[0])
    others = tuple((labels[at], values[at]) for at in range(len(values)) if at not in (item, priced[0]) and values[at])
    return Fact("price", _tidy(re.sub(r"\([^)]*\)", "", values[item])), values[priced[0]].strip(), quote, others)


def _table(lines: list[str]) -> Iterator[Fact]:
    header: list[str] = []
    for at, line in enumerate(lines):
        if _RULE.match(line):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        ruled = at + 1 < len(lines) and bool(_RULE.match(lines[at + 1]))
        if ruled or (at == 0 and not any(PRICE.search(c) for c in cells) and all(_label(c) for c in cells)):
            header = cells
            continue
        if days := _hours(": ".join(cells)):
            yield days
        elif row := _table_row(cells, header):
            yield row
        elif len(cells) > 1 and cells[0] and cells[1]:
            if cells[0].endswith("?"):
                yield Fact("answer", cells[0], " ".join(cells[1:]), line.strip())
            else:
                yield Fact("answer", _tidy(cells[0]), ", ".join(filter(None, cells[1:])), line.strip())


def _hours(line: str) -> Fact | None:
    bare = line.strip().lstrip("-*•·# ").replace("**", "")
    found = _DAYS_LABEL.match(bare)
    if not found:
        return None
    return Fact("hours", _tidy(found[0]), _tidy(bare[found.end() :]), line.strip())


def _lines(text: str) -> list[str]:
    """Lines, with a price that stands alone joined to the name before it (columns of a PDF come apart like this)."""
    joined: list[str] = []
    for line in text.replace("\r", "").split("\n"):
        alone = PRICE.fullmatch(line.strip().strip("|").strip())
        if alone and joined and joined[-1].strip() and not PRICE.search(joined[-1]) and _is_item(_tidy(joined[-1])):
            joined[-1] = f"{joined[-1].rstrip()}  {line.strip()}"
        else:
            joined.append(line)
    return joined


class _Reader:
    """One pass over the lines of a passage; an open question or heading collects the lines under it."""

    def __init__(self, heading: str) -> None:
        self.facts: list[Fact] = []
        self.heading = heading.strip().strip("#* ").strip()
        self.open: str | None = None
        self.body: list[str] = []

    def close(self) -> None:
        text = " ".join(self.body).strip()
        if text:
            if self.open:
                self.facts.append(Fact("answer", self.open, text, text))
            elif self.heading.endswith("?"):
                self.facts.append(Fact("answer", self.heading, text, text))
            else:
                self.facts.append(Fact("prose", self.heading, text, text))
        self.open, self.body = None, []

    def line(self, line: str) -> None:
        bare = line.strip().strip("*").strip()
        if not bare:
            if self.body:
                self.close()
            return
        heading = re.match(r"^#{1,6}\s+(.*)", bare)
        if heading and not heading[1].endswith("?"):
            self.close()
            self.heading = heading[1].strip("# ")
        elif both := _INLINE_QA.match(bare.lstrip("# ")):
            self.close()
            self.facts.append(Fact("answer", both[1].strip(), both[2].strip(), bare))
        elif question := _QUESTION.match(bare.lstrip("# ")):
            self.close()
            self.open = question[1].strip()
        elif fact := _hours(bare) or _price_row(bare):
            answers = self.heading.endswith("?") and (bare.endswith(".") or len(bare.split()) > _ROW_WORDS)
            if self.open or answers or (self.body and fact.kind == "price" and bare.endswith(".")):
                self.body.append(_ANSWER_MARK.sub("", bare))
            else:
                self.close()
                self.facts.append(fact)
        elif not self.open and (label := _LABELLED.match(bare)):
            self.close()
            self.facts.append(Fact("answer", label[1].strip(), label[2].strip(), bare))
        else:
            self.body.append(_ANSWER_MARK.sub("", bare))


def facts(text: str, heading: str = "") -> list[Fact]:
    """All facts of a passage in reading order. Prose becomes one fact per paragraph under its heading."""
    reader, table = _Reader(heading), list[str]()
    for line in [*_lines(text), ""]:
        if line.count("|") >= 1 and not line.strip().endswith("?"):
            if not table:
                reader.close()
            table.append(line)
            continue
        if table:
            reader.facts.extend(_table(table))
            table = []
        reader.line(line)
    reader.close()
    return reader.facts


def priced_items(found: Iterable[Fact]) -> list[str]:
    """The names of everything that has a price, without repetitions, in order."""
    return list(dict.fromkeys(fact.subject for fact in found if fact.kind == "price"))
