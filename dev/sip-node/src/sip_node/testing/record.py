"""What each contract case was seen to answer, per implementation, as JSON; and the table of the documentation from it.

python -m sip_node.testing.record          # writes CONTRACT.md beside the records
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from sip_node.testing.agent import RoomAgent
from sip_node.testing.uac import SipMessage

REAL: Final = "livekit-sip-1.10.0"
NODE: Final = "node"
NOT_SEEN: Final = "not seen"
# Contract cases that were not run on the real program, and why.
NOT_SEEN_ON_REAL: Final[Mapping[str, str]] = {}
# Contract cases that hold on both while the two answer differently beside what they assert, and why.
_PHRASE: Final = "livekit-sip leaves the phrase of this 400 empty"
DIFFERS: Final[Mapping[str, str]] = {
    "test_contract_hangup::test_bye_for_an_unknown_call": _PHRASE,
    "test_contract_unanswered::test_offers_that_cannot_be_answered": _PHRASE,
    "test_contract_unanswered::test_refusal_is_replayed_for_the_same_call": _PHRASE,
}
_SHOWN: Final = ("joined", "status", "digit", "left")


@dataclass
class Observation:
    """What one test saw. `real` is None until it is known which implementation answers; a `brief` one keeps only what the
    test itself notes, where messages and events are drawn at random."""

    case: str
    real: bool | None = None
    brief: bool = False
    seen: dict[str, list[str]] = field(default_factory=dict)

    def note(self, what: str, values: Iterable[object]) -> None:
        """Under a name of its own ("legs" of the same kind are numbered)."""
        name, number = what, 1
        while name in self.seen:
            number += 1
            name = f"{what} {number}"
        self.seen[name] = [str(value) for value in values]

    def leg(self, what: str, messages: Iterable[SipMessage]) -> None:
        """What a raw socket heard, repetitions left out."""
        heard = [line for line, _ in groupby(map(_line, messages))]
        if heard and not self.brief:
            self.note(what, heard)

    def room(self, agent: RoomAgent) -> None:
        """What somebody in the room was told about the participant."""
        shown = [
            f"{kind} {value}" if kind in ("status", "digit") else kind for kind, value in agent.events if kind in _SHOWN
        ]
        if shown and not self.brief:
            self.note("room", shown)


def _line(message: SipMessage) -> str:
    if not message.status:
        return message.method
    text = message.start.removeprefix("SIP/2.0 ").strip()
    return text if message.method == "INVITE" else f"{text} ({message.method})"


class Records:
    """One implementation's file: case -> {"date", "seen": {what: [...]}}; a case's variants are its parameters."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cases: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, observation: Observation, now: datetime) -> None:
        self.cases[observation.case] = {"date": now.astimezone(UTC).date().isoformat(), "seen": observation.seen}

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dict(sorted(self.cases.items())), indent=1, ensure_ascii=False)
        self.path.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Case:
    """A contract case as its test states it."""

    key: str
    words: str


def cases(tests: Path) -> list[Case]:
    """Every test function of the contract modules in `tests`, in their order."""
    found = []
    for path in sorted(tests.glob("test_contract_*.py")):
        for item in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(item, (ast.AsyncFunctionDef, ast.FunctionDef)) and item.name.startswith("test_"):
                words = " ".join((ast.get_docstring(item) or "").split())
                found.append(Case(f"{path.stem}::{item.name}", words))
    return found


def variants(records: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The entries of one case by its parameters ("" when it has none)."""
    return {
        name.removeprefix(key).strip("[]"): value
        for name, value in records.items()
        if name == key or name.startswith(f"{key}[")
    }


def alike(one: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> bool:
    """The same as far as both were looked at: a test ends at different moments of what comes after its last assertion."""
    pairs = [(values, other[what]) for what, values in one.items() if what in other]
    return all(ours[: len(theirs)] == theirs[: len(ours)] for ours, theirs in pairs)


def table(tests: Path, real: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    """CONTRACT.md: per case what it says, when it was seen on either, and what either was seen to answer."""
    lines = [
        "# What the contract says, and what was seen",
        "",
        f"Written by `python -m sip_node.testing.record` from `contract/{REAL}.json` and `contract/{NODE}.json`, which the",
        "suite writes with `--record FOLDER`. Every case ran with the same assertions on both, LiveKit server 1.13.5 behind",
        "them; the node's column repeats what was seen only where it is not the same. Repeated lines are shown once; what",
        "came after a test's last look is not there. Numbers, tags and identities are left out.",
    ]
    module = ""
    for case in cases(tests):
        name, _, test = case.key.partition("::")
        if name != module:
            module = name
            lines += ["", f"## {name.removeprefix('test_contract_').replace('_', ' ')}", ""]
            lines += ["| case | says | livekit-sip 1.10.0 | node |", "| --- | --- | --- | --- |"]
        title = test.removeprefix("test_").replace("_", " ")
        lines.append(f"| {title} | {_cell(case.words)} | {_seen(real, case.key)} | {_beside(real, node, case.key)} |")
    return "\n".join(lines) + "\n"


def _beside(real: Mapping[str, Any], node: Mapping[str, Any], key: str) -> str:
    ours, theirs = variants(node, key), variants(real, key)
    if ours and set(ours) == set(theirs) and all(alike(theirs[name]["seen"], ours[name]["seen"]) for name in ours):
        return f"{max(entry['date'] for entry in ours.values())}: the same"
    return _seen(node, key) + (f"<br>({_cell(DIFFERS[key])})" if key in DIFFERS else "")


def _seen(records: Mapping[str, Any], key: str) -> str:
    parts = []
    for parameters, entry in sorted(variants(records, key).items()):
        facts = [f"{what}: {', '.join(filter(None, values))}" for what, values in entry["seen"].items()]
        label = f"**{parameters}** " if parameters else ""
        parts.append(_cell(f"{label}{entry['date']}: {'; '.join(facts) or 'passed'}"))
    return "<br>".join(parts) or _cell(f"{NOT_SEEN}: {NOT_SEEN_ON_REAL.get(key, 'not run yet')}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def project() -> Path:
    """The folder with tests/, contract/ and CONTRACT.md."""
    return Path(__file__).parents[3]


def main() -> int:
    folder = project()
    real, node = (Records(folder / "contract" / f"{name}.json").cases for name in (REAL, NODE))
    (folder / "CONTRACT.md").write_text(table(folder / "tests", real, node), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
