"""The clinics that the benches ask: documents and questions as text files under ``bench/data``, values drawn per seed.

``{name:40-60}`` in a document draws a whole number, ``{name:red/blue}`` one of the words, and ``{name}`` repeats what was
drawn, in documents and in expected answers. So no answer is the same in two runs with different seeds.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

Form = Literal["covered", "free", "nowhere"]
FORMS: tuple[Form, ...] = ("covered", "free", "nowhere")
DATA = Path(__file__).resolve().parents[1] / "data"
DEVELOPMENT = "development"
GROUPS = ("test-3", "test-2", "test", DEVELOPMENT)
"""Folders of ``DATA``, the one to measure with first; ``test`` has steered decisions and only repeats older figures."""

_DRAWN = re.compile(r"\{(\w+):([^}]+)\}")
_NAMED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Question:
    """``right``: alternatives, each a tuple of phrases that must all be said; empty: no document has the answer."""

    clinic: str
    form: Form
    text: str
    right: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Document:
    """An upload: ``data`` is what the clinic's file holds, ``text`` the same to be read by the judge."""

    name: str
    media_type: str
    data: bytes
    text: str


@dataclass(frozen=True)
class Clinic:
    """One clinic with its values drawn. ``locations`` as in ``clinic.toml``."""

    key: str
    name: str
    locations: tuple[dict[str, Any], ...]
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]


def held_out(group: str) -> bool:
    """Whether nobody may look at how single questions of the group fail."""
    return group != DEVELOPMENT


def load(group: str, seed: int) -> list[Clinic]:
    """All clinics of ``bench/data/<group>``, by name. ValueError for a malformed file."""
    folders = sorted(path for path in (DATA / group).iterdir() if (path / "clinic.toml").is_file())
    if not folders:
        raise ValueError(f"group: there is no clinic in {DATA / group}")
    return [read(folder, seed) for folder in folders]


def read(folder: Path, seed: int) -> Clinic:
    """One clinic; its values follow from the seed and the folder's name."""
    draw = random.Random(f"{seed} {folder.name}")
    described = tomllib.loads((folder / "clinic.toml").read_text(encoding="utf-8"))
    values: dict[str, str] = {}
    documents = tuple(_document(folder / name, values, draw) for name in described["documents"])
    questions = tuple(_questions(folder, values))
    return Clinic(folder.name, described["name"], tuple(described["locations"]), documents, questions)


def _document(path: Path, values: dict[str, str], draw: random.Random) -> Document:
    def drawn(found: re.Match[str]) -> str:
        choices = found[2]
        if numbers := re.fullmatch(r"(\d+)-(\d+)", choices):
            values[found[1]] = str(draw.randint(int(numbers[1]), int(numbers[2])))
        else:
            values[found[1]] = draw.choice(choices.split("/"))
        return values[found[1]]

    text = _DRAWN.sub(drawn, path.read_text(encoding="utf-8"))
    if path.name.endswith(".pdf.md"):
        return Document(path.name.removesuffix(".md"), "application/pdf", _pdf(text), text)
    media_type = "text/markdown" if path.suffix == ".md" else "text/plain"
    return Document(path.name, media_type, text.encode(), text)


def _questions(folder: Path, values: dict[str, str]) -> list[Question]:
    found: list[Question] = []
    form: Form | None = None
    for line in (folder / "questions.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            form = next(known for known in FORMS if line == f"[{known}]")
            continue
        if form is None or not line.strip():
            continue
        asked, _, expected = (part.strip() for part in line.partition(" = "))
        if bool(expected) == (form == "nowhere"):
            raise ValueError(f"{folder.name}/questions.txt: {line!r} has no answer, or has one that nobody can know")
        filled = _NAMED.sub(lambda match: values[match[1]], expected)
        right = tuple(tuple(part.strip() for part in way.split("&")) for way in filled.split("|")) if filled else ()
        found.append(Question(folder.name, form, asked, right))
    return found


def _pdf(text: str) -> bytes:
    """Markdown headings and tables as a printed price list."""
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    story: list[object] = []
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            if not re.fullmatch(r"[|\-\s:]+", line):
                rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            story += [Table(rows, colWidths=(240, 90, 90)), Spacer(1, 12)]
            rows = []
        if line.startswith("#"):
            style = "Title" if line.startswith("# ") else "Heading2"
            story.append(Paragraph(line.lstrip("# "), styles[style]))
    held = BytesIO()
    SimpleDocTemplate(held, invariant=True).build(story)
    return held.getvalue()
