"""What this service keeps of a tenant: language models of its words, and facts that wait for the bus."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from uuid import UUID

from switchboard.erasers import Eraser
from switchboard.ids import token

from voice_agent.calls.spool import Spool

STORES = ("speech-models", "call-spool")


def erasers(model_cache: Path, spool: Spool) -> tuple[Eraser, ...]:
    """``model_cache`` is ``SpeechSettings.model_cache``: one folder per tenant; ``spool`` this worker's."""

    def remove_facts(tenant_id: UUID) -> int:
        paths = spool.of_tenant(tenant_id)
        for path in paths:
            path.unlink(missing_ok=True)
        return len(paths)

    async def erase_facts(tenant_id: UUID) -> int:
        return await asyncio.to_thread(remove_facts, tenant_id)

    def remove(tenant_id: UUID) -> int:
        folder = model_cache / token(tenant_id)
        if not folder.is_dir():
            return 0
        count = sum(1 for _ in folder.iterdir())
        shutil.rmtree(folder)
        return count

    async def erase(tenant_id: UUID) -> int:
        return await asyncio.to_thread(remove, tenant_id)

    return Eraser("speech-models", erase), Eraser("call-spool", erase_facts)
