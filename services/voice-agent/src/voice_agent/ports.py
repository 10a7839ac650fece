"""What a conversation needs from outside, as small protocols; adapters and drivers implement them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

from voice_agent.conversation.models import Found, ReplyPart, ReplyReady, Respond, TurnDone


class Retriever(Protocol):
    """Looks up the tenant's documents. Raises ``SwitchboardError`` when it can't."""

    async def search(self, queries: Sequence[str]) -> Found: ...


class Brain(Protocol):
    """Finds words for what was heard and found."""

    async def respond(self, request: Respond) -> ReplyReady: ...


@runtime_checkable
class StreamingBrain(Protocol):
    """Finds words a sentence at a time. The parts are numbered from 0; exactly the final one is the last."""

    def reply(self, request: Respond) -> AsyncGenerator[ReplyPart, None]: ...

    async def aclose(self) -> None: ...


class Recorder(Protocol):
    """Where turns and the conversation's state go; never blocks the conversation."""

    def turn(self, done: TurnDone, state_json: str) -> None: ...
