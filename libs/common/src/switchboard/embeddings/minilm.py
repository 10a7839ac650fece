"""all-MiniLM-L6-v2 on onnxruntime: about 3 ms for a question, one core."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from switchboard.embeddings.build import GRAPH, NOTE, TOKENIZER
from switchboard.embeddings.port import ModelMissing, Vector

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256
"""What the model was trained on; more of a text is not looked at."""


class MiniLm:
    """An :class:`~switchboard.embeddings.Embedder`. Texts longer than 256 tokens count by their beginning."""

    model = MODEL
    dimensions = DIMENSIONS

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="embed")

    @classmethod
    def open(cls, folder: Path, *, threads: int = 2) -> MiniLm:
        """Load the model that ``build`` made (0.3 s, about 250 MiB). :class:`ModelMissing` when there is none.

        ``threads`` texts are worked on at once, one core each; onnxruntime lets go of the GIL.
        """
        if not (folder / NOTE).is_file():
            raise ModelMissing(
                "SWITCHBOARD_EMBEDDINGS__MODEL_DIR holds no finished model; make it: "
                "python -m switchboard.embeddings build --out FOLDER"
            )
        # From 1.29 on it reports its use to its maker, and leaves a device id in the cache folder, unless told not to.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A spinning worker thread would take a core from the calls on this machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        return cls(session, tokenizer, threads)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One float32 vector of 384 and length 1 per text, in order."""
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(self._pool, self.embed_one, text) for text in texts)))

    def embed_one(self, text: str) -> Vector:
        """The same for one text, in the calling thread."""
        import numpy as np

        ids = np.array(self._tokenizer.encode(text).ids, dtype=np.int64)
        vector: Vector = self._session.run(["vector"], {"ids": ids})[0]
        return vector

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=True, cancel_futures=True)
