"""The table in docs/reliability.md: one line a row, replaced when that row is run again, and only then."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from fleet.prove import Outcome, Row

BEGIN, END = "<!-- rows of make prove -->\n", "<!-- end of the rows -->"
HEAD = "| row | what must be true | long form | tried | result | minutes | date |\n" + "| --- " * 7 + "|\n"
NEVER = "| – | not run yet | – | – |"


def start_of(row: Row) -> str:
    """What a row's line says without having been run."""
    form = " ".join(f"`{key}={value}`" for key, value in row.long_form.items()) or "–"
    return f"| `{row.name}` | {row.promise} | {form} "


def line_of(row: Row, outcome: Outcome, day: date) -> str:
    """A row that was run, or left out."""
    if outcome.left_out:
        return f"{start_of(row)}| – | not run: {outcome.left_out} | – | {day} |"
    tried = ", ".join(f"{count:,.10g} {what}" for what, count in sorted(outcome.tried.items())) or "–"
    if outcome.ok:
        result = f"{outcome.passed} passed"
    else:
        result = f"**failed**: {_plain('; '.join(outcome.failed) or 'no test ran')} ({outcome.passed} passed)"
    return f"{start_of(row)}| {tried} | {result} | {outcome.seconds / 60:.1f} | {day} |"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def updated(page: str, rows: Iterable[Row], lines: dict[str, str]) -> str:
    """The page with these lines in place of their rows'; the others stay. ``ValueError`` without a place for them."""
    before, found, rest = page.partition(BEGIN)
    table, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the page has no place for the rows: {BEGIN.strip()} ... {END}")
    known = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    known |= lines
    text = "".join(f"{known.get(row.name) or start_of(row) + NEVER}\n" for row in rows)
    return f"{before}{BEGIN}{HEAD}{text}{END}{after}"


def write(page: Path, rows: Iterable[Row], lines: dict[str, str]) -> None:
    page.write_text(updated(page.read_text(encoding="utf-8"), rows, lines), encoding="utf-8")
