"""The passages that a conversation gives to the chat model.

Understood: ``<passage n="..." heading="...">text</passage>`` (also ``document`` and ``source``; ``id`` for ``n``) in
instructions and tool results, and ``<clinic>`` as passage 0; JSON tool results, in which every object with a "text" is a
passage ("heading" or "title", "id" beside it); any other tool result as a whole; and, of instructions without such
marks, what stands below a Markdown heading or a line with a colon that begins with Passages, Documents, Sources,
Context or Knowledge.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from voice_agent.offline.answers import Passage

_MARKED = re.compile(r"<(passage|document|source)\b([^>]*)>(.*?)</\1>", re.S | re.I)
_CLINIC = re.compile(r"<clinic>(.*?)</clinic>", re.S | re.I)
CLINIC = "0"
"""The number of the passage that is the clinic's own configuration."""
_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_SECTION = re.compile(
    r"^(?:#{1,6}\s*(?:the\s)?(?:passages|documents|sources|context|knowledge)\b[^\n]*"
    r"|(?:the\s)?(?:passages|documents|sources|context|knowledge)\b[^\n]*:\s*)$",
    re.I | re.M,
)
_NUMBERED = re.compile(r"^\s*\[(\d+)\]\s*", re.M)
_NOTHING = re.compile(r"^\W*(?:no|nothing|none|null|empty|not found)\b[^\n]{0,60}$|^\W*$", re.I)


def of_instructions(text: str) -> list[Passage]:
    """The passages in a system or developer message."""
    clinic = [Passage(CLINIC, "given", "", html.unescape(found[1].strip())) for found in _CLINIC.finditer(text)]
    marked = [*_marked(text), *clinic]
    if marked:
        return marked
    section = _SECTION.search(text)
    return list(_numbered(text[section.end() :])) if section else []


def of_tool(text: str) -> list[Passage]:
    """The passages in a tool's result; none when it says that there is nothing."""
    try:
        return list(_in_json(json.loads(text)))
    except ValueError:
        pass
    marked = list(_marked(text))
    if marked:
        return marked
    return [] if _NOTHING.match(text.strip()) else list(_numbered(text))


def _marked(text: str) -> Iterator[Passage]:
    for at, found in enumerate(_MARKED.finditer(text)):
        given = {name.lower(): html.unescape(a or b) for name, a, b in _ATTRIBUTE.findall(found[2])}
        heading = given.get("heading") or given.get("title") or ""
        number = given.get("n") or given.get("id") or str(at + 1)
        yield Passage(number, "given", heading, html.unescape(found[3].strip()))


def _numbered(text: str) -> Iterator[Passage]:
    """``[1] text`` ``[2] text``, or all of it as one."""
    parts = _NUMBERED.split(text.strip())
    if parts[0].strip():
        yield Passage("1", "given", "", parts[0].strip())
    for number, body in zip(parts[1::2], parts[2::2], strict=True):
        if body.strip():
            yield Passage(number, "given", "", body.strip())


def _in_json(value: Any) -> Iterator[Passage]:
    if isinstance(value, list):
        for one in value:
            yield from _in_json(one)
    elif isinstance(value, dict):
        text = value.get("text") or value.get("passage") or value.get("content")
        if isinstance(text, str) and text.strip():
            heading = value.get("heading") or value.get("title") or ""
            identity = value.get("id") or value.get("passage_id") or ""
            yield Passage(str(identity), "given", str(heading), text)
        else:
            for one in value.values():
                if not isinstance(one, str):  # "status": "ok" says nothing about the clinic
                    yield from _in_json(one)
    elif isinstance(value, str) and not _NOTHING.match(value.strip()):
        yield Passage("1", "given", "", value)
