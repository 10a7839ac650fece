"""Writes the accepted figures into docs/benchmarks.md, with a chart each.

    python -m bench.frame.publish

The page has a pair of lines ``<!-- bench NAME -->`` and ``<!-- end of bench NAME -->`` for each; what stands between them is
replaced. Nobody edits it by hand: a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from bench.frame.chart import draw
from bench.frame.report import markdown
from bench.frame.results import Result, accepted

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
CHARTS = "charts"


def filled(page: str, results: Iterable[Result]) -> str:
    """The page with the tables of these results. ``ValueError`` where it has no place for one."""
    for result in results:
        begin, end = f"<!-- bench {result.name} -->\n", f"<!-- end of bench {result.name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no place for {result.name}: {begin.strip()} ... {end}")
        chart = f"\n\n![{result.name}]({CHARTS}/{result.name}.svg)" if result.cases else ""
        page = f"{before}{begin}{markdown(result)}{chart}\n{end}{after}"
    return page


def main() -> int:
    results = list(accepted())
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    for result in results:
        draw(result, PAGE.parent / CHARTS / f"{result.name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
