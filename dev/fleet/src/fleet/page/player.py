"""The player: both sides' waveforms with the turns marked, one transport, one recording."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.page.markup import Html, tag
from fleet.page.sound import outline
from fleet.page.story import Story

POINTS = 1200
LANE = 100
SIDES = ("agent", "caller")
TICK = 10
HEARABLE = (("both", "Both"), ("agent", "Agent"), ("caller", "Caller"))


def player(story: Story) -> Html:
    """The figure with transport; a sentence in its place when nothing was recorded."""
    if not story.sound.seconds:
        return tag("section", tag("p", "No sound passed in this call.", class_="quiet"), class_="player")
    seconds = story.sound.seconds
    seek = tag(
        "input",
        type="range",
        id="seek",
        min=0,
        max=seconds,
        step=0.01,
        value=0,
        aria_label="Position in the recording",
    )
    wave = tag(
        "div",
        tag("span", "What the caller heard", class_="lane agent"),
        tag("span", "What the caller said", class_="lane caller"),
        *(tag("i", id=name, class_=kind, data_turn=turn) for name, kind, turn, _, _ in bands(story)),
        waveform(story),
        tag("i", class_="head", aria_hidden="true"),
        seek,
        class_="wave",
    )
    return tag(
        "section",
        tag("h2", "The call", class_="unseen"),
        tag("figure", wave, chapters(story), ticks(seconds)),
        transport(story),
        class_="player",
        aria_label="Recording",
    )


def waveform(story: Story) -> Html:
    """Both outlines in one picture, the agent's above."""
    shapes = []
    for row, (side, samples) in enumerate(zip(SIDES, (story.sound.agent, story.sound.caller), strict=True)):
        middle = LANE * row + LANE / 2
        loud = [max(1.0, value * LANE * 0.46) for value in outline(samples, POINTS)]
        upper = [f"{x},{middle - height:.1f}" for x, height in enumerate(loud)]
        lower = [f"{x},{middle + height:.1f}" for x, height in reversed(list(enumerate(loud)))]
        shapes.append(tag("path", d=f"M{' '.join(upper)} {' '.join(lower)}Z", class_=side))
    view = f"0 0 {POINTS} {LANE * len(SIDES)}"
    return tag("svg", *shapes, viewBox=view, preserveAspectRatio="none", aria_hidden="true")


def transport(story: Story) -> Html:
    """Play, time, and which side is heard."""
    uri = story.sound.data_uri()
    choices = [
        tag("label", tag("input", type="radio", name="side", value=side, checked=side == "both"), tag("span", label))
        for side, label in HEARABLE
    ]
    return tag(
        "div",
        tag("button", tag("span", "Play", class_="unseen"), id="play", type="button"),
        tag("p", tag("time", clock(0), id="now"), " / ", clock(story.sound.seconds), class_="time"),
        tag("fieldset", tag("legend", "Listen to", class_="unseen"), *choices, class_="sides"),
        tag("p", "Space plays, arrows move, [ and ] go from turn to turn", class_="keys"),
        tag("audio", id="sound", src=uri, controls=True, preload="auto"),
        class_="transport",
    )


def chapters(story: Story) -> Html:
    """One button per turn, as wide as the time until the next one."""
    buttons = []
    for index, moment in enumerate(story.moments):
        label = f"Turn {moment.label}" if moment.label else "Unanswered question"
        buttons.append(
            tag(
                "li",
                tag(
                    "button",
                    moment.label or "?",
                    type="button",
                    data_seek=moment.start,
                    aria_label=f"{label}, {clock(moment.start)}",
                ),
                id=f"c{index}",
                data_turn=moment.label or None,
            )
        )
    return tag("ol", *buttons, class_="chapters", aria_label="Turns")


def ticks(seconds: float) -> Html:
    marks = [tag("span", clock(at), id=f"t{at}") for at in tick_times(seconds)]
    return tag("div", *marks, class_="ticks", aria_hidden="true")


def tick_times(seconds: float) -> range:
    """Every ten seconds, or so seldom that a dozen stand side by side; none where the end would cut it off."""
    step = TICK * max(1, round(seconds / (TICK * 10)))
    return range(0, int(seconds * 0.97) + 1, step)


Band = tuple[str, str, str, float, float]


def bands(story: Story) -> Iterator[Band]:
    """Stretches to be shaded: id, class, turn, start, end. An interruption goes across both sides."""
    for index, moment in enumerate(story.moments):
        for number, mark in enumerate(moment.marks):
            yield f"b{index}-{number}", f"band {mark.whose}", moment.label, mark.start, mark.end
    for index, mark in enumerate(story.cuts):
        yield f"x{index}", "cut" if mark.end > mark.start else "cut off", mark.whose, mark.start, mark.end


def geometry(story: Story) -> str:
    """Where everything stands along the recording, as style rules: the policy allows no style on elements."""
    seconds = story.sound.seconds
    if not seconds:
        return ""
    rules = [rule(name, start, end, seconds) for name, _, _, start, end in bands(story)]
    starts = [moment.start for moment in story.moments]
    ends = [*starts[1:], seconds]
    rules += [rule(f"c{i}", a, b, seconds) for i, (a, b) in enumerate(zip(starts, ends, strict=False))]
    rules += [f"#t{at}{{left:{at / seconds:.3%}}}" for at in tick_times(seconds)]
    return "\n".join(rules) + "\n"


def rule(name: str, start: float, end: float, seconds: float) -> str:
    return f"#{name}{{left:{start / seconds:.3%};width:{max(0.0, end - start) / seconds:.3%}}}"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
