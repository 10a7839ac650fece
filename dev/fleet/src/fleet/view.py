"""What a person at the terminal sees of a run: the fleet coming up, the call's words, the waterfall, the record."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fleet.api import CallRecord, LiveEvent, Turn
from fleet.dialogue import Exchange
from fleet.supervisor import Event

STAGES = (
    ("end of turn", "end_of_turn"),
    ("transcript", "transcript"),
    ("retrieval", "retrieval_ended"),
    ("first token", "first_token"),
    ("first audio", "first_audio"),
)
BAR = 34
WIDEST = 4.0
"""Seconds that a full bar stands for."""


def terminal() -> Console:
    """Standard output; wide enough for the record's table when it goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


class View:
    """Prints lines as things happen; no cursor tricks, so that it reads the same in a log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._interim = ""

    def line(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def heading(self, text: str) -> None:
        self.console.print(f"\n[bold]{escape(text)}[/bold]", highlight=False)

    def process(self, event: Event) -> None:
        """A line when something is ready, stopped working, or was done."""
        if event.what in ("ready", "done"):
            self.line(f"  {event.name:<18} {event.what:<6} {event.seconds:5.1f} s")
        elif event.what == "died":
            self.line(f"  [red]{event.name:<18} died[/red]")

    def told(self, who: str, text: str) -> None:
        """What the caller is made to say."""
        self.line(f"  [cyan]{who} says[/cyan]      {escape(text)}")

    def live(self, event: LiveEvent) -> None:
        """One event of the public API's stream."""
        if event.kind == "state":
            self.line(f"  [dim]call is {escape(event.state)}[/dim]")
        elif event.kind == "source":
            passage = " ".join(event.text.split())
            self.line(f"    [dim]from {escape(event.document_name)}: {escape(passage[:110])}[/dim]")
        elif event.speaker == "agent":
            self.line(f"  [green]agent says[/green]       {escape(event.text)}")
        elif event.final:
            self.line(f"  [yellow]agent heard[/yellow]      {escape(event.text)}")
        elif event.text != self._interim:
            self._interim = event.text
            self.line(f"    [dim]hearing ... {escape(event.text)}[/dim]")

    def waterfall(self, exchange: Exchange, turn: Turn | None) -> None:
        """Where the time went between the caller's last sound and the agent's first one."""
        self.line(f"\n  {escape(exchange.said)}")
        for label, seconds in stages(exchange, turn):
            if seconds is None:
                self.line(f"    {label:<16} [dim]-[/dim]")
                continue
            filled = min(BAR, max(0, round(seconds / WIDEST * BAR)))
            self.line(f"    {label:<16} {seconds * 1000:6.0f} ms {'█' * filled}")

    def judged(self, exchange: Exchange) -> None:
        """What the caller heard, by the sound."""
        verdict = exchange.verdict
        mark = "[green]right[/green]" if verdict.ok else "[red]wrong[/red]"
        again = f", asked {exchange.attempt + 1} times" if exchange.attempt else ""
        self.line(f"  {mark}  {escape(exchange.question.title)}{again}")
        if verdict.ranked:
            nearest = ", ".join(f"{row.distance:.2f} {row.text[:60]!r}" for row in verdict.ranked[:2])
            self.line(f"         [dim]nearest of {len(verdict.ranked)}: {escape(nearest)}[/dim]")
        if not verdict.ok:
            self.line(f"         [red]{escape(verdict.reason)}[/red]")
        if exchange.interruption is not None:
            cut = exchange.interruption
            if cut.ok:
                after = f"{cut.seconds * 1000:.0f} ms after the caller began to speak"
                self.line(f"  [green]right[/green]  the agent fell silent {after}")
            else:
                self.line(f"  [red]wrong[/red]  interruption: {escape(cut.reason)}")

    def record(self, record: CallRecord) -> None:
        """The call as the API keeps it."""
        call = record.call
        self.line(f"  call {call.call_id}: {call.state}, {call.end_reason}, outcome {call.outcome}, {call.turns} turns")
        table = Table(show_edge=False, pad_edge=False, box=None, header_style="dim")
        for column in ("turn", "kind", "caller", "agent", "passage"):
            table.add_column(column, overflow="fold")
        for turn in record.turns:
            said = turn.caller_said[0].text if turn.caller_said else ""
            cited = next((p for p in turn.passages if p.cited), None)
            cut = " (interrupted)" if turn.interrupted else ""
            table.add_row(
                str(turn.turn),
                turn.kind + cut,
                escape(said),
                escape(turn.caller_heard),
                escape(cited.document_name if cited else ""),
            )
        self.console.print(table)


Stage = tuple[str, float | None]
"""A stage's name, and the seconds until it; None when it didn't come to that."""


def stages(exchange: Exchange, turn: Turn | None) -> list[Stage]:
    """Seconds from the caller's last sound to each stage."""
    return stages_since(exchange.speech_ended, exchange.heard_began, turn)


def stages_since(ended: float, heard: float | None, turn: Turn | None) -> list[Stage]:
    """The same for any end of speech; both moments in seconds since the epoch."""
    found: list[Stage] = []
    for label, name in STAGES:
        moment: datetime | None = getattr(turn.timings, name) if turn is not None else None
        found.append((label, None if moment is None else moment.timestamp() - ended))
    found.append(("heard by caller", None if heard is None else heard - ended))
    return found


def turn_of(exchange: Exchange, record: CallRecord) -> Turn | None:
    """The recorded turn of an exchange: the one whose answer began between the question's end and the sound of it."""
    best: Turn | None = None
    for turn in record.turns:
        moment = turn.timings.first_audio or turn.timings.end_of_turn
        if moment is None or turn.kind == "greeting":
            continue
        after = moment.timestamp() - exchange.speech_ended
        if -1.0 <= after <= 15.0 and (exchange.heard_began is None or moment.timestamp() <= exchange.heard_began + 0.5):
            best = turn if best is None or turn.turn > best.turn else best
    return best
