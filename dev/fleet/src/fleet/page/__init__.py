"""The page of one call: a single HTML file with its sound, its words, its sources, its times and its verdict.

It asks for nothing outside itself: the recording is in it, and its Content-Security-Policy allows no request, no style
and no script but its own. It is made of a small element builder (`markup`) that escapes every text it is given, because
what callers say and what documents hold may be anything; a template engine would be one more dependency for one page.
"""

from __future__ import annotations

from pathlib import Path

from fleet.call import CallOutcome
from fleet.files import write_private
from fleet.page.document import document
from fleet.page.story import Facts, chosen, tell

PAGE = "call.html"

__all__ = ["PAGE", "Facts", "chosen", "write_page"]


def write_page(path: Path, outcome: CallOutcome, facts: Facts) -> Path:
    """Writes the page, readable by its owner alone (a caller's number and words are in it); returns where it is."""
    write_private(path, document(tell(outcome, facts)))
    return path
