"""The page's head and foot."""

from __future__ import annotations

from fleet.dialogue import Exchange
from fleet.page.markup import Html, join, tag
from fleet.page.player import clock
from fleet.page.story import Story


def header(story: Story) -> Html:
    """Who was called, what came of it, and the facts of the call."""
    return tag(
        "header",
        tag("p", "Switchboard · one phone call, judged from its sound", class_="kicker"),
        tag("h1", story.facts.clinic),
        verdict(story),
        facts(story),
    )


def verdict(story: Story) -> Html:
    """The one sentence everybody reads first; with the complaints when there are any."""
    asked = story.outcome.last_of_each
    right = sum(exchange.verdict.ok for exchange in asked)
    complaints = story.outcome.complaints()
    if not complaints:
        what = "the right answer" if len(asked) == 1 else f"the right answers to all {len(asked)} questions"
        return tag("p", mark(True), f"The caller heard {what}.", class_="verdict right")
    listed = tag("ul", *(tag("li", text) for text in complaints), class_="complaints")
    text = f"{right} of {len(asked)} answers were right." if asked else "No question was answered."
    return join(tag("p", mark(False), text, class_="verdict wrong"), listed)


def mark(ok: bool) -> Html:
    return tag("span", "✓" if ok else "✗", class_=f"mark {'right' if ok else 'wrong'}", aria_hidden="true")


def score(story: Story) -> Html | None:
    """Each question with its verdict and how long the caller waited."""
    rows = [score_row(exchange, story) for exchange in story.outcome.last_of_each]
    if not rows:
        return None
    heads = [tag("th", text, scope="col") for text in ("Asked", "Heard", "First sound after")]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="score")
    return tag("section", tag("h2", "What was asked"), table)


def score_row(exchange: Exchange, story: Story) -> Html:
    home = next((i for i, moment in enumerate(story.moments) if exchange in moment.exchanges), None)
    waited = None if exchange.heard_began is None else exchange.heard_began - exchange.speech_ended
    cut = exchange.interruption
    stopped = f"agent silent {cut.seconds:.2f} s after the caller spoke up" if cut and cut.ok else None
    said = tag("q", exchange.said)
    notes = [exchange.question.title, f"asked {exchange.attempt + 1} times" if exchange.attempt else None, stopped]
    return tag(
        "tr",
        tag(
            "th",
            said if home is None else tag("a", said, href=f"#turn-{home}"),
            tag("small", " · ".join(note for note in notes if note)),
            scope="row",
        ),
        tag("td", mark(exchange.verdict.ok), "right" if exchange.verdict.ok else "wrong"),
        tag("td", "–" if waited is None else f"{waited:.2f} s"),
    )


def facts(story: Story) -> Html:
    """Which call this is and what it ran on."""
    call = story.record.call if story.record else None
    outcome, known = story.outcome, story.facts
    rows: list[tuple[str, str]] = [
        ("Date", f"{story.date:%d %B %Y, %H:%M} UTC"),
        ("Length", clock(story.sound.seconds)),
        ("Number", (call.dialled if call else None) or known.number),
        ("Picked up", f"after {outcome.answered_after:.1f} s"),
    ]
    if outcome.greeting_after is not None:
        rows.append(("Greeting", f"{outcome.greeting_after:.1f} s later"))
    if call is not None:
        ended = [call.state, (call.end_reason or "").replace("_", " "), call.outcome or ""]
        rows.append(("Record", ", ".join(word for word in ended if word)))
        rows.append(("Turns", str(call.turns)))
    rows += [("Telephony", known.sip), ("Clinic's seed", str(known.seed))]
    rows += [(stage.capitalize(), name) for stage, name in known.providers]
    rows.append(("Call", call.call_id if call else "the API has no record of it"))
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in rows), class_="facts")


def footer() -> Html:
    """How to read the page."""
    return tag(
        "footer",
        tag(
            "p",
            "The caller is a SIP phone. Both sides were recorded at that phone; the recording is in this file, which asks "
            "for nothing outside itself. Shaded stretches are the turns as the call's record has them. Each verdict comes "
            "from the sound: what was heard is compared with the right answer and with answers that would be wrong, and "
            "the nearest wins.",
        ),
        tag(
            "p",
            "Times count from the caller's last sound, on one clock. Text that is struck through was said by the agent "
            "but not heard, because the caller spoke up.",
        ),
    )
