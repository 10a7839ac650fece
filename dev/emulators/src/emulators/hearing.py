"""The ear behind the transcription protocols: the offline one, with the words that the operator gave it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from livekit.agents import inference
from switchboard.subprocesses import kill
from voice_agent.offline.language_model import SpeechModel, build_language_model, model_digest
from voice_agent.offline.stt import OfflineSTT

SHORTEST_PAUSE = 0.5
"""Seconds. A pause within a synthetic voice's sentence is up to 0.41 s; a shorter endpointing would cut it in two."""


class TeachingFailed(RuntimeError):
    """The language model could not be built."""


class Hearing:
    """Makes listeners. `cache`: a folder for language models."""

    def __init__(self, *, cache: Path) -> None:
        self._cache = cache
        self._model: asyncio.Task[SpeechModel] | None = None

    async def start(self) -> None:
        """The general language model, for when nobody teaches another."""
        await self.teach(())

    async def teach(self, texts: Sequence[str], names: Sequence[str] = (), places: Sequence[str] = ()) -> None:
        """Listeners made from now on know the words of these texts. Raises TeachingFailed."""
        asked = {"texts": list(texts), "names": list(names), "places": list(places)}
        self._model = asyncio.create_task(self._build(asked), name="emulated words")
        await self._model

    async def _build(self, asked: dict[str, list[str]]) -> SpeechModel:
        texts, names, places = asked["texts"], asked["names"], asked["places"]
        if not (self._cache / f"{model_digest(texts, names, places)}.json").is_file():
            await self._build_aside(asked)
        # made by now: this only reads it
        return await asyncio.to_thread(build_language_model, texts, names=names, places=places, cache=self._cache)

    async def _build_aside(self, asked: dict[str, list[str]]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "emulators.words_child", str(self._cache),
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            _, errors = await process.communicate(json.dumps(asked).encode())
        finally:
            if process.returncode is None:
                await asyncio.shield(kill(process))
        if process.returncode != 0:
            raise TeachingFailed(errors.decode(errors="replace")[-500:])

    def listener(self, pause: float) -> OfflineSTT:
        """An ear whose utterances end after `pause` seconds of silence, at least SHORTEST_PAUSE."""
        if self._model is None:
            raise TeachingFailed("the ear was not started")
        silence = max(pause, SHORTEST_PAUSE)
        detector = inference.VAD(min_speech_duration=0.05, min_silence_duration=silence, prefix_padding_duration=0.4)
        return OfflineSTT(model=self._model, manual_flush=True, detector=detector)

    async def close(self) -> None:
        if self._model is not None and not self._model.done():
            self._model.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._model
