"""What the emulated chat model says: an extract of the passages it was given, or a call of a tool that it was offered.

It is no language model. It reads the last thing the user said with the offline answerer, over the passages in the
conversation; small talk is answered; without passages it calls the tool that finds some. It follows one instruction
about form: asked for a tag in front ([n] for the passage used, [none], [again], [chat]), it gives one. Pure but for the
ids of calls.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voice_agent.offline.answerer import decide
from voice_agent.offline.answers import Answer, AskAgain, Decision, DontKnow, Passage, SmallTalk
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.phrasing import UNKNOWN
from voice_agent.offline.spoken import words

from emulators import passages
from emulators.protocols.openai_chat_models import (
    Assistant,
    ChatRequest,
    FunctionDefinition,
    Instruction,
    Message,
    NamedTool,
    ToolResult,
    User,
    text_of,
)

_GREETING = "Hello! How can I help you?"
_TODAY = re.compile(r"\btoday is (?:a )?(monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b", re.I)
_TAGS = re.compile(r"\[none\].*\[again\].*\[chat\]", re.S)
_END = re.compile(r"end_?call|hang_?up|goodbye", re.I)
_SEARCH = re.compile(r"search|look|find|retriev|knowledge|document|passage|faq|info", re.I)
# (what a user says, the name of a tool that does it)
_INTENTS = (
    (r"\b(?:human|a (?:real )?person|someone|somebody|operator|transfer|put me through)\b", r"transfer|human|person|hand"),
    (r"\b(?:leave|take) a message\b|\bcall me back\b", r"message|call_?back"),
    (r"\b(?:book|schedule|make) (?:an? |me )*(?:appointment|visit)\b", r"book|appointment|schedule"),
)  # fmt: skip
_KEPT_TURNS = 6


@dataclass(frozen=True)
class Call:
    """A call of one tool; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Reply:
    """Words, a call, or both."""

    text: str = ""
    call: Call | None = None


def reply_to(request: ChatRequest, rng: random.Random) -> Reply:
    """What the model answers. `rng` makes the ids of calls."""
    said = [text_of(message.content) for message in request.messages if isinstance(message, User)]
    if not said:
        return Reply(_GREETING)
    if forced := _forced(request):
        return Reply(call=_call(forced, said[-1], rng))
    given, results = _given(request.messages)
    if results and _spoke_already(request.messages):
        return Reply()
    if results and not given:
        return Reply(_told(results) or UNKNOWN)
    decision = _decide(said[-_KEPT_TURNS:], given, request.messages)
    text = _tag(decision, request.messages) + _words_of(decision)
    offered = [one.function for one in request.tools or ()] if request.tool_choice != "none" and not results else []
    if isinstance(decision, SmallTalk):
        ending = next((tool for tool in offered if _END.search(tool.name)), None)
        ends = ending is not None and decision.talk == "goodbye"
        return Reply(text, _call(ending, said[-1], rng) if ends and ending else None)
    known = isinstance(decision, Answer) or any(passage.id != passages.CLINIC for passage in given)
    if tool := _tool_for(said[-1], offered, have_passages=known):
        return Reply(call=_call(tool, said[-1], rng))
    return Reply(text)


def _spoke_already(messages: Sequence[Message]) -> bool:
    """The call whose result has just come was made beside words: nothing is left to say."""
    calls = [one for one in messages if isinstance(one, Assistant) and one.tool_calls]
    return bool(calls and text_of(calls[-1].content))


def _forced(request: ChatRequest) -> FunctionDefinition | None:
    """The tool that must be called, unless its result is there already."""
    tools = [tool.function for tool in request.tools or ()]
    if isinstance(request.messages[-1], ToolResult):
        return None
    if isinstance(request.tool_choice, NamedTool):
        wanted = request.tool_choice.function.name
        return next(tool for tool in tools if tool.name == wanted)
    if request.tool_choice == "required":
        return next((tool for tool in tools if _SEARCH.search(tool.name)), tools[0])
    return None


def _given(messages: Sequence[Message]) -> tuple[list[Passage], list[str]]:
    """All passages of the conversation, and the tools' results since the user last spoke."""
    found: list[Passage] = []
    results: list[str] = []
    for message in messages:
        if isinstance(message, Instruction):
            found += passages.of_instructions(text_of(message.content))
        elif isinstance(message, User):
            results = []
        elif isinstance(message, ToolResult):
            results.append(text_of(message.content))
            found += passages.of_tool(results[-1])
    return found, results


def _tool_for(text: str, tools: Sequence[FunctionDefinition], *, have_passages: bool) -> FunctionDefinition | None:
    for said, name in _INTENTS:
        if re.search(said, text, re.I):
            chosen = next((tool for tool in tools if re.search(name, tool.name, re.I)), None)
            if chosen is not None:
                return chosen
    if have_passages:
        return None
    named = next((tool for tool in tools if _SEARCH.search(tool.name)), None)
    return named or next((tool for tool in tools if _SEARCH.search(tool.description)), None)


def _call(tool: FunctionDefinition, text: str, rng: random.Random) -> Call:
    identity = "call_" + "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=24))
    return Call(identity, tool.name, json.dumps(_arguments(tool.parameters, text)))


def _arguments(schema: dict[str, Any], text: str) -> dict[str, Any]:
    """The user's words for what is required; null for what may be left open."""
    required = schema.get("required", [])
    return {name: _value(one, text) for name, one in schema.get("properties", {}).items() if name in required}


def _value(schema: dict[str, Any], text: str) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type") or [one.get("type") for one in schema.get("anyOf", ())]
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "null" in kinds:
        return None
    plain: dict[str, Any] = {"string": text, "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}
    return plain.get(kinds[0], text) if kinds else text


def _told(results: Sequence[str]) -> str:
    """What a tool that isn't a search said, if it put it into words."""
    try:
        read = json.loads(results[-1])
    except ValueError:
        return ""
    told = read.get("say") or read.get("message") or read.get("result") if isinstance(read, dict) else None
    return told if isinstance(told, str) else ""


def _instructions(messages: Sequence[Message]) -> str:
    return "\n".join(text_of(one.content) for one in messages if isinstance(one, Instruction))


def _decide(said: Sequence[str], given: Sequence[Passage], messages: Sequence[Message]) -> Decision:
    """About the last thing said; earlier ones tell what a "yes" means."""
    day = _TODAY.search(_instructions(messages))
    last = next((text_of(one.content) for one in reversed(messages) if isinstance(one, Assistant) and one.content), "")
    asked: list[AskAgain] = []
    decision: Decision = DontKnow(UNKNOWN)
    for text in said:
        heard = Hypotheses.of_text(" ".join(words(text)))
        decision = decide(heard, given, asked=asked, last_said=last, today=day[1].lower() if day else None)
        asked = [*asked, decision] if isinstance(decision, AskAgain) else []
    return decision


def _words_of(decision: Decision) -> str:
    return decision.prompt if isinstance(decision, AskAgain) else decision.text or _GREETING


def _tag(decision: Decision, messages: Sequence[Message]) -> str:
    """What the instructions want in front of the words."""
    if not _TAGS.search(_instructions(messages)):
        return ""
    if isinstance(decision, Answer):
        return f"[{decision.passage_id}] "
    if isinstance(decision, AskAgain):
        return "[again] "
    return "[none] " if isinstance(decision, DontKnow) else "[chat] "
