"""The whole file: skeleton, style, script, and the policy that allows these and nothing else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from string import Template

from fleet.page.markup import join, tag
from fleet.page.player import geometry, player
from fleet.page.sections import footer, header, score
from fleet.page.story import Story
from fleet.page.turns import transcript

HERE = Path(__file__).parent


def document(story: Story) -> str:
    """The page of a call, as HTML."""
    style = "\n" + read("style.css") + geometry(story)
    script = "\n" + read("script.js")
    body = join(header(story), tag("main", player(story), score(story), transcript(story)), footer())
    title = tag("title", f"{story.facts.clinic}: a call of {story.date:%d %B %Y}")
    return Template(read("page.html")).substitute(
        policy=policy(style, script),
        title=title[0],
        style=style,
        body=body[0],
        script=script,
    )


def read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """Nothing from outside, and of what is inside only this style and this script, known by their digests."""
    return (
        f"default-src 'none'; style-src '{digest(style)}'; script-src '{digest(script)}'; "
        "media-src data:; img-src data:; base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
