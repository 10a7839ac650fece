"""The bus's side of retrieval."""

from __future__ import annotations

from datetime import UTC, datetime

from switchboard.bus import Bus, Call
from switchboard.contracts.documents import SEARCH, SPEECH_TEXTS, Search, SearchReply, SpeechTexts, SpeechTextsReply
from switchboard.rights import Right

from rag_svc.access import tenant_of
from rag_svc.search.service import Retrieval


class SearchHandlers:
    """One method per contract."""

    def __init__(self, retrieval: Retrieval) -> None:
        self._retrieval = retrieval

    async def serve(self, bus: Bus) -> None:
        await bus.serve(SEARCH, self.search)
        await bus.serve(SPEECH_TEXTS, self.speech_texts)

    async def search(self, body: Search, call: Call) -> SearchReply:
        deadline = datetime.fromtimestamp(call.deadline, UTC)
        return await self._retrieval.search(tenant_of(call, SEARCH, Right.DOCUMENTS_READ), body, deadline)

    async def speech_texts(self, body: SpeechTexts, call: Call) -> SpeechTextsReply:
        return await self._retrieval.speech_texts(tenant_of(call, SPEECH_TEXTS, Right.DOCUMENTS_READ), body.digest)
