"""The tables that the benches print, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.offline.clinics import FORMS, Form
from bench.offline.judge import Verdict
from bench.offline.line import NOISES, Noise
from bench.offline.trials import Outcome

GOALS = {"covered": 90.0, "free": 70.0}
NAMES: dict[Form, str] = {"covered": "covered form", "free": "free speech", "nowhere": "answered nowhere"}
Group = tuple[Form, str, Noise | str, list[Outcome]]


def groups(outcomes: Sequence[Outcome]) -> Iterator[Group]:
    """Form by seen and unseen voices by line, then each form as a whole."""
    for form in FORMS:
        of_form = [one for one in outcomes if one.trial.question.form == form]
        for seen in (True, False):
            for noise in NOISES:
                chosen = [one for one in of_form if one.trial.voice.seen is seen and one.trial.noise == noise]
                if chosen:
                    yield form, "seen" if seen else "unseen", noise, chosen
        if of_form:
            yield form, "all", "all", of_form


def word_error_rate(outcomes: Sequence[Outcome], *, least: bool = False) -> float:
    """Percent, of the first takes; ``least``: of the best of each take's readings."""
    firsts = [one.attempts[0] for one in outcomes]
    wrong = sum(one.least_errors if least else one.errors for one in firsts)
    return 100 * wrong / max(1, sum(one.size for one in firsts))


def hearing_table(outcomes: Sequence[Outcome]) -> str:
    """How well was heard, without what was made of it."""
    lines = ["| form | voices | line | n | WER % | WER of the best reading % | whole sentence right % |"]
    lines.append("|---|---|---|--:|--:|--:|--:|")
    for form, voices, noise, chosen in groups(outcomes):
        whole = sum(one.attempts[0].errors == 0 for one in chosen)
        cells = (NAMES[form], voices, noise, str(len(chosen)), f"{word_error_rate(chosen):.1f}",
                 f"{word_error_rate(chosen, least=True):.1f}", f"{100 * whole / len(chosen):.0f}")  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)" if whole else "-"


def answers_table(outcomes: Sequence[Outcome]) -> str:
    """Counts with their share of n. The columns from "asked twice" on are what the caller had in the end, if not right."""
    lines = ["| form | voices | line | n | WER % | right at once | right within two | asked again | still asked | "
             "don't know | wrong | invented |", "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for form, voices, noise, chosen in groups(outcomes):
        n = len(chosen)
        good: Verdict = "dont_know" if form == "nowhere" else "right"
        ends = Counter(one.verdict for one in chosen)
        cells = [NAMES[form], voices, noise, str(n), f"{word_error_rate(chosen):.1f}"]
        cells += [_share(sum(one.attempts[0].verdict == good for one in chosen), n), _share(ends[good], n)]
        cells += [_share(sum(one.attempts[0].verdict == "asked" for one in chosen), n)]
        cells += [str(ends["asked"] + (ends["other"] if form == "nowhere" else 0)), str(ends["dont_know"])]
        cells += [str(ends["wrong"]) if form != "nowhere" else "-", str(ends["invented"]) if form == "nowhere" else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def goals(outcomes: Sequence[Outcome]) -> str:
    """Each goal and whether this run met it."""
    lines: list[str] = []
    for form in FORMS:
        chosen = [one for one in outcomes if one.trial.question.form == form]
        if form in GOALS:
            share = 100 * sum(one.verdict == "right" for one in chosen) / max(1, len(chosen))
            met = "met" if share >= GOALS[form] else "NOT met"
            lines.append(f"* {NAMES[form]}: {share:.1f} % right within two tries, goal {GOALS[form]:.0f} %: {met}")
        else:
            count = invented(outcomes)
            lines.append(f"* {NAMES[form]}: {count} of {len(chosen)} invented, goal 0: {'NOT met' if count else 'met'}")
    return "\n".join(lines)


def invented(outcomes: Sequence[Outcome]) -> int:
    """Answers to questions that no document answers."""
    return sum(one.verdict == "invented" for one in outcomes)
