"""What this service keeps of a tenant: language models of its words, in a cache folder."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from uuid import UUID

from switchboard.erasers import Eraser
from switchboard.ids import token

STORES = ("speech-models",)


def erasers(model_cache: Path) -> tuple[Eraser, ...]:
    """``model_cache`` is ``SpeechSettings.model_cache``: one folder per tenant."""

    def remove(tenant_id: UUID) -> int:
        folder = model_cache / token(tenant_id)
        if not folder.is_dir():
            return 0
        count = sum(1 for _ in folder.iterdir())
        shutil.rmtree(folder)
        return count

    async def erase(tenant_id: UUID) -> int:
        return await asyncio.to_thread(remove, tenant_id)

    return (Eraser("speech-models", erase),)
