"""Where the time of a turn went: the same numbers as in the terminal, drawn on one scale for the whole page."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.page.markup import Html, tag
from fleet.page.story import Moment

WIDTH = 1000
SHORTEST_SCALE = 1.0
Scale = tuple[float, float]
"""Seconds at the left and at the right end of every bar."""


def scale_of(moments: Sequence[Moment]) -> Scale:
    """The widest span any turn needs, with zero (the caller's last sound) always in it."""
    known = [seconds for moment in moments for _, seconds in moment.stages if seconds is not None]
    return min(0.0, *known, 0.0), max(SHORTEST_SCALE, *known, 0.0)


def waterfall(moment: Moment, scale: Scale) -> Html | None:
    """A table of the turn's stages with a bar each; None where nothing was asked."""
    if not moment.stages:
        return None
    rows, before = [], 0.0
    for label, seconds in moment.stages:
        rows.append(row(label, before, seconds, scale))
        before = before if seconds is None else max(before, seconds)
    since = "the caller's last sound" if moment.by_ear else "the caller's last sound, as the agent marked it"
    caption = tag("caption", f"ms from {since}")
    return tag("table", caption, tag("tbody", *rows), class_="waterfall")


def row(label: str, before: float, seconds: float | None, scale: Scale) -> Html:
    number = "–" if seconds is None else f"{seconds * 1000:.0f}"
    bar = None if seconds is None else drawn(before, seconds, scale)
    last = "heard" if label == "heard by caller" else None
    return tag("tr", tag("th", label, scope="row"), tag("td", number), tag("td", bar, aria_hidden="true"), class_=last)


def drawn(before: float, seconds: float, scale: Scale) -> Html:
    """From the stage before to this one; faint from the caller's last sound on."""
    left, right = scale

    def at(moment: float) -> float:
        return (moment - left) / (right - left) * WIDTH

    since, start, end = at(0.0), at(min(before, seconds)), at(seconds)
    faint = tag("rect", x=min(since, end), y=3, width=abs(end - since), height=4, class_="faint")
    strong = tag("rect", x=start, y=0, width=max(end - start, WIDTH / 150), height=10)
    return tag("svg", faint, strong, viewBox=f"0 0 {WIDTH} 10", preserveAspectRatio="none")
