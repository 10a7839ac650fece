"""The transcript: both sides' words turn by turn, with sources, times and verdicts."""

from __future__ import annotations

from fleet.api import Turn
from fleet.api_models import Fault, Hypothesis, PassageUsed
from fleet.dialogue import Exchange
from fleet.page.markup import Html, join, tag
from fleet.page.player import clock
from fleet.page.sections import mark
from fleet.page.story import Moment, Story
from fleet.page.waterfall import scale_of, waterfall


def transcript(story: Story) -> Html:
    """Every turn in the order of the call."""
    scale = scale_of(story.moments)
    ends = [*(moment.start for moment in story.moments[1:]), story.sound.seconds]
    turns = [
        one_turn(index, moment, end, scale)
        for index, (moment, end) in enumerate(zip(story.moments, ends, strict=False))
    ]
    nothing = None if turns else tag("p", "There are no words.", class_="quiet")
    return tag("section", tag("h2", "Word for word"), tag("ol", *turns, class_="turns"), nothing)


def one_turn(index: int, moment: Moment, end: float, scale: tuple[float, float]) -> Html:
    turn = moment.turn
    title = f"Turn {moment.label}" if turn else "No turn of the record answers this"
    play = tag(
        "button",
        clock(moment.start),
        type="button",
        class_="from",
        data_seek=moment.start,
        aria_label=f"Play from {clock(moment.start)}",
    )
    kind = turn.kind.replace("_", " ") if turn else "not recorded"
    tags = [tag("span", kind, class_="kind"), tag("span", "interrupted", class_="kind cut") if cut_off(turn) else None]
    words = [
        caller(moment),
        agent(turn) if turn else told(moment),
        sources(turn.passages) if turn and turn.passages else None,
        faults(turn.faults) if turn and turn.faults else None,
    ]
    aside = [*(judged(exchange) for exchange in moment.exchanges), waterfall(moment, scale)]
    return tag(
        "li",
        tag("header", play, tag("h3", title), *tags),
        tag("div", *words, class_="words"),
        tag("aside", *aside),
        class_="turn",
        id=f"turn-{index}",
        data_turn=moment.label or None,
        data_start=moment.start,
        data_end=end,
    )


def cut_off(turn: Turn | None) -> bool:
    return turn is not None and turn.interrupted


def caller(moment: Moment) -> Html | None:
    """What the caller said, and what the agent's ear made of it. Nobody wrote down what other callers really said."""
    readings = moment.turn.caller_said if moment.turn else []
    told = [*dict.fromkeys(exchange.said for exchange in moment.exchanges)]
    if not told and not readings:
        return None
    said = told or [readings[0].text]
    ear = tag("p", "The agent's ear has no reading of it.", class_="quiet")
    return tag(
        "div",
        tag("h4", "Caller" if told else "Caller, as the agent's ear read it"),
        *(tag("p", tag("q", text), class_="speech") for text in said),
        readings_of(readings, known=bool(told)) if readings else ear,
        class_="side caller",
    )


def readings_of(readings: list[Hypothesis], known: bool) -> Html:
    """What the ear read, best first; one line when there is only one reading."""
    best = readings[0]
    read = join("heard as ", tag("q", best.text), " ") if known else join("confidence ")
    line = join(read, confidence(best))
    if len(readings) == 1:
        return tag("p", line, class_="reading")
    rows = [tag("li", tag("q", one.text), " ", confidence(one)) for one in readings]
    summary = tag("summary", line, tag("small", f"{len(readings)} readings"))
    return tag("details", summary, tag("ol", *rows), class_="readings")


def confidence(reading: Hypothesis) -> Html:
    return tag("data", f"{reading.confidence:.2f}", value=reading.confidence, title="confidence")


def agent(turn: Turn) -> Html:
    """What the agent said; what the caller didn't hear of it is struck through."""
    said, heard = turn.agent_said, turn.caller_heard
    if heard == said:
        text = [tag("p", said, class_="speech")]
    elif said.startswith(heard):
        text = [tag("p", heard, tag("del", said.removeprefix(heard)), class_="speech")]
    else:
        unheard = tag("p", "of ", tag("del", said), class_="speech quiet")
        text = [tag("p", heard or "(nothing was heard)", class_="speech"), unheard]
    return tag("div", tag("h4", "Agent"), *text, class_="side agent")


def told(moment: Moment) -> Html | None:
    """What the live words said, where the record has no turn."""
    text = moment.exchanges[-1].text if moment.exchanges else ""
    return tag("div", tag("h4", "Agent"), tag("p", text, class_="speech"), class_="side agent") if text else None


def sources(passages: list[PassageUsed]) -> Html:
    """The passages the answer could be made from; the one it was made from first, open and marked."""
    ordered = sorted(passages, key=lambda passage: (not passage.cited, -passage.score))
    cited = [passage for passage in ordered if passage.cited]
    shown = [passage_of(passage) for passage in cited]
    rest = [passage_of(passage) for passage in ordered if not passage.cited]
    more = None
    if rest:
        count = f"{len(rest)} {'more ' if cited else ''}passage{'s' * (len(rest) > 1)} looked at"
        more = tag("details", tag("summary", count if cited else f"{count}, none used"), *rest)
    return tag("div", tag("h4", "Source" if len(cited) == 1 else "Sources"), *shown, more, class_="side sources")


def passage_of(passage: PassageUsed) -> Html:
    where = [passage.document_name, *([passage.heading] if passage.heading else [])]
    caption = tag(
        "figcaption",
        tag("span", "used", class_="used") if passage.cited else None,
        tag("cite", " › ".join(where)),
        tag("data", f"{passage.score:.2f}", value=passage.score, title="how well it fits"),
    )
    text = tag("blockquote", passage.text)
    return tag("figure", caption, text, class_="passage cited" if passage.cited else "passage")


def faults(found: list[Fault]) -> Html:
    """Which provider failed in this turn, and who did its work."""
    rows = [
        tag(
            "li",
            tag("strong", f"{fault.stage.upper()} {fault.endpoint}"),
            f" {fault.fault.replace('_', ' ')}; ",
            f"{fault.served_by} did it instead" if fault.served_by else "nobody could do it instead",
        )
        for fault in found
    ]
    return tag("div", tag("h4", "Provider faults"), tag("ul", *rows), class_="side faults")


def judged(exchange: Exchange) -> Html:
    """What the judge made of the sound of the answer."""
    verdict = exchange.verdict
    rows = [
        tag(
            "tr",
            tag("td", f"{row.distance:.3f}"),
            tag("td", f"{row.length_ratio:.2f}"),
            tag("td", row.text),
        )
        for row in verdict.ranked
    ]
    heads = tag("tr", *(tag("th", text, scope="col") for text in ("distance", "length", "candidate")))
    ranked = tag(
        "details",
        tag("summary", f"nearest of {len(rows)} candidates, by {verdict.margin:.3f}"),
        tag("div", tag("table", tag("thead", heads), tag("tbody", *rows)), class_="scroll"),
    )
    cut = exchange.interruption
    stopped = None
    if cut is not None:
        text = f"silent {cut.seconds:.2f} s after the caller spoke up" if cut.ok else f"interruption: {cut.reason}"
        stopped = tag("p", mark(cut.ok), text, class_="ruling")
    return tag(
        "div",
        tag("h4", "Verdict"),
        tag("p", mark(verdict.ok), "right" if verdict.ok else "wrong", class_="ruling"),
        tag("p", exchange.question.title, class_="quiet"),
        None if verdict.ok else tag("p", verdict.reason, class_="reason"),
        stopped,
        ranked if rows else None,
        class_="side judged",
    )
