"""A result as Markdown."""

from __future__ import annotations

from bench.frame.results import Case, Comparison, Figure, Provenance, Result, SideFigures, Spread

TOO_NOISY = "too noisy"


def markdown(result: Result) -> str:
    """Heading, a table a case with its ratios, figures, notes; "too noisy" and nothing else where the A/A line says so."""
    if result.noisy:
        return TOO_NOISY
    parts = [_heading(result.provenance), *(_case(case) for case in result.cases)]
    if result.figures:
        parts.append(_figures(result.figures))
    if result.notes:
        parts.append("\n".join(f"* {note}" for note in result.notes))
    return "\n\n".join(parts)


def _heading(run: Provenance) -> str:
    quick = " **Quick form: shows that the bench works, claims nothing.**" if run.quick else ""
    return (
        f"`{run.command}`, {run.date.replace('T', ' ')} UTC, {run.machine}, commit `{run.commit}`, {run.seconds:.0f} s, "
        f"load {run.load[0]:.1f} to {run.load[1]:.1f}{quick}"
    )


def _case(case: Case) -> str:
    lines = [f"**{case.title}** ({case.blocks} blocks)", ""]
    memory = any(side.pss_bytes for side in case.sides)
    latency = any(side.p50_s is not None for side in case.sides)
    cpu = any(side.cpu_s for side in case.sides)
    heads = ["side", "n"] + ["p50", "p95", "p99"] * latency + [f"CPU a {case.unit} (95 % interval)"] * cpu
    heads += ["PSS"] * memory
    lines.append(_row(heads))
    lines.append("|---|" + "--:|" * (len(heads) - 1))
    lines += [_row(_side(side, latency=latency, cpu=cpu, memory=memory)) for side in case.sides]
    lines.append("")
    lines += [f"* {_comparison(one)}" for one in case.comparisons]
    agree = ", ".join(f"{one.side} {one.measure} {_ratio(one.ratio)}" for one in case.agreements)
    lines.append(f"* A/A: {agree}")
    return "\n".join(lines)


def _side(side: SideFigures, *, latency: bool, cpu: bool, memory: bool) -> list[str]:
    cells = [f"{side.name} ({side.role})", str(side.n)]
    cells += [duration(value) for value in (side.p50_s, side.p95_s, side.p99_s)] * latency
    if cpu:
        cells.append("-" if side.cpu_s is None else _between(side.cpu_s))
    if memory:
        cells.append("-" if side.pss_bytes is None else f"{side.pss_bytes.median / 1e6:.1f} MB")
    return cells


def _between(spread: Spread) -> str:
    return f"{duration(spread.median)} ({duration(spread.low)} to {duration(spread.high)})"


def _comparison(one: Comparison) -> str:
    goal = "" if one.goal is None else f", goal {one.goal:g}: {_verdict(one.met)}"
    return f"{one.measure}: {_ratio(one.ratio)} of {one.against}{goal}"


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.2f} x ({spread.low:.2f} to {spread.high:.2f})"


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "**NOT met**", None: "not measured"}[met]


def _figures(figures: tuple[Figure, ...]) -> str:
    lines = [_row(["figure", "n", "p50 (95 % interval)", "p95", "p99", "goal"]), "|---|--:|--:|--:|--:|---|"]
    for one in figures:
        middle = f"{_number(one.p50.median)} {one.unit} ({_number(one.p50.low)} to {_number(one.p50.high)})"
        tails = ["-" if value is None else f"{_number(value)} {one.unit}" for value in (one.p95, one.p99)]
        goal = "" if one.goal is None else f"{one.goal.of} {one.goal.limit:g} {one.unit}: {_verdict(one.met)}"
        lines.append(_row([one.title, str(one.p50.n), middle, *tails, goal]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """In the unit that suits: "310 µs", "4.2 ms", "1.35 s"."""
    if seconds is None:
        return "-"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{_number(seconds * factor)} {unit}"
    return f"{_number(seconds * 1e6)} µs"
