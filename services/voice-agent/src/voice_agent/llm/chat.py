"""A model as the brain asks it: messages in, words and tool calls out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from voice_agent.llm.prompt import Message

SEARCH = "search_documents"
END_CALL = "end_call"


@dataclass(frozen=True, slots=True)
class Called:
    """The model wants a tool. ``query`` is the one argument that any of ours takes, "" when it could not be read."""

    name: str
    call_id: str
    arguments: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    call: Called
    text: str


ChatItem = Message | ToolResult


class ChatLink(Protocol):
    """One model at one endpoint. ``deadline``: seconds to the first token, and from one to the next."""

    @property
    def endpoint(self) -> str: ...

    @property
    def deadline(self) -> float: ...

    def chat(self, items: Sequence[ChatItem], *, may_search: bool) -> AsyncGenerator[str | Called, None]:
        """Words and calls as they come; raises whatever its client raises, ``LinkFailed`` for what only we can see."""

    async def probe(self) -> bool:
        """Whether it answers at all, tried at little cost."""
