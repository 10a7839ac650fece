"""What a conversation needs from outside, as small protocols; adapters and drivers implement them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from voice_agent.conversation.models import ReplyReady, Respond, Source, TurnDone


class Retriever(Protocol):
    """Looks up the tenant's documents. Raises ``SwitchboardError`` when it can't."""

    async def search(self, queries: Sequence[str]) -> tuple[Source, ...]: ...


class Brain(Protocol):
    """Finds words for what was heard and found."""

    async def respond(self, request: Respond) -> ReplyReady: ...


class Recorder(Protocol):
    """Where turns and the conversation's state go; never blocks the conversation."""

    def turn(self, done: TurnDone, state_json: str) -> None: ...
