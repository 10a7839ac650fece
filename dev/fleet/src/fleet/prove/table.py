"""Tables of what was tried: one line a row, replaced when that row is run again, and only then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fleet.prove import Outcome, Row


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page has its table: between two lines, and what the table begins with."""

    begin: str
    end: str
    head: str


BEGIN, END = "<!-- rows of make prove -->\n", "<!-- end of the rows -->"
HEAD = "| row | what must be true | long form | tried | result | minutes | date |\n" + "| --- " * 7 + "|\n"
PLACE = Place(BEGIN, END, HEAD)
NEVER = "| – | not run yet | – | – |"


def start_of(row: Row) -> str:
    """What a row's line says without having been run."""
    form = " ".join(f"`{key}={value}`" for key, value in row.long_form.items()) or "–"
    return f"| `{row.name}` | {row.promise} | {form} "


def line_of(row: Row, outcome: Outcome, day: date) -> str:
    """A row that was run, or left out."""
    if outcome.left_out:
        return f"{start_of(row)}| – | not run: {outcome.left_out} | – | {day} |"
    tried = tried_of(outcome) or "–"
    if outcome.ok:
        result = f"{outcome.passed} passed"
    else:
        result = f"**failed**: {plain('; '.join(outcome.failed) or 'no test ran')} ({outcome.passed} passed)"
    return f"{start_of(row)}| {tried} | {result} | {outcome.seconds / 60:.1f} | {day} |"


def tried_of(outcome: Outcome) -> str:
    """What was tried how often, as the tests counted it; empty when they did not."""
    return ", ".join(f"{count:,.10g} {what}" for what, count in sorted(outcome.tried.items()))


def plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def updated(page: str, rows: Iterable[Row], lines: Mapping[str, str]) -> str:
    """The page with these lines in place of their rows'; the others stay. ``ValueError`` without a place for them."""
    return replaced(page, PLACE, {row.name: start_of(row) + NEVER for row in rows}, lines)


def replaced(page: str, place: Place, never: Mapping[str, str], lines: Mapping[str, str]) -> str:
    """``never``: the line of each row, by name and in order, for as long as it was not run."""
    before, found, rest = page.partition(place.begin)
    table, closed, after = rest.partition(place.end)
    if not found or not closed:
        raise ValueError(f"the page has no place for the rows: {place.begin.strip()} ... {place.end}")
    known = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    text = "".join(f"{lines.get(name) or known.get(name) or line}\n" for name, line in never.items())
    return f"{before}{place.begin}{place.head}{text}{place.end}{after}"


def write(page: Path, rows: Iterable[Row], lines: dict[str, str]) -> None:
    page.write_text(updated(page.read_text(encoding="utf-8"), rows, lines), encoding="utf-8")
