"""POST /v1/embeddings: MiniLM's vectors at the size that was asked for.

MiniLM has 384 dimensions. Fewer are asked for: the first ones at unit length again. More (1,536 and 3,072 are what the
models have by themselves): zeros follow, which change no angle.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

import numpy as np
from aiohttp import web
from pydantic import Field
from switchboard.embeddings import MiniLm, Vector

from emulators.behaviour import REFUSALS, Strict
from emulators.context import Context
from emulators.protocols import openai_errors
from emulators.protocols.openai_errors import Refused, unknown_model
from emulators.wire import HttpWire, of

EMBEDDING_MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
_MOST_INPUTS = 2048
_FIXED_SIZE = "text-embedding-ada-002"


class EmbeddingRequest(Strict):
    model: str
    input: str | list[str]
    dimensions: int | None = Field(default=None, ge=1)
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


def check(asked: EmbeddingRequest) -> None:
    """What the schema can't say. Raises Refused."""
    if asked.model not in EMBEDDING_MODELS:
        raise unknown_model(asked.model)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if not texts or any(not text for text in texts):
        raise Refused(400, "'input' cannot be an empty string.", param="input")
    if len(texts) > _MOST_INPUTS:
        raise Refused(400, f"'input' array must have at most {_MOST_INPUTS} elements.", param="input")
    if asked.dimensions is None:
        return
    if asked.model == _FIXED_SIZE:
        raise Refused(400, "This model does not support specifying dimensions.", param="dimensions")
    most = EMBEDDING_MODELS[asked.model]
    if asked.dimensions > most:
        message = f"Invalid value for 'dimensions' = {asked.dimensions}. Must be less than or equal to {most}."
        raise Refused(400, message, param="dimensions")


def sized(vector: Vector, dimensions: int) -> Vector:
    """`vector` (unit length) with this many dimensions, at unit length."""
    if dimensions >= len(vector):
        return np.pad(vector, (0, dimensions - len(vector)))
    kept = vector[:dimensions]
    length = float(np.linalg.norm(kept))
    return kept / np.float32(length) if length > 0 else kept


def _written(vector: Vector, encoding: str) -> Any:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(value) for value in vector]


class Embeddings:
    """The embedding model's HTTP face."""

    def __init__(self, context: Context, model: MiniLm) -> None:
        self._context = context
        self._model = model

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/embeddings", self.embed)]

    async def embed(self, request: web.Request) -> web.StreamResponse:
        """One vector per input, in order."""
        context = self._context
        request_id = f"req_{context.name(32)}"
        try:
            openai_errors.check_key(request, context.key)
            asked = await openai_errors.read(request, EmbeddingRequest)
            check(asked)
        except Refused as refusal:
            context.record.refused("embeddings", request.path, str(refusal))
            return refusal.response(request_id)
        flow = context.behaviours.begin("embeddings")
        fields = asked.model_dump(mode="json", exclude_none=True)
        context.record.request("embeddings", request.path, fields, flow.fault.kind if flow.fault else None)
        if flow.fault is not None and flow.fault.kind in REFUSALS:
            await flow.pause(first=True)
            return openai_errors.of_fault(flow.fault).response(request_id)
        body = await self._body(asked)
        wire = HttpWire(request, "application/json", {"x-request-id": request_id}, b'{"object":')
        if await flow.play(of([body[: len(body) // 2], body[len(body) // 2 :]]), wire):
            await wire.end()
        return wire.response

    async def _body(self, asked: EmbeddingRequest) -> bytes:
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        size = asked.dimensions or EMBEDDING_MODELS[asked.model]
        vectors = await self._model.embed(texts)
        data = [
            {"object": "embedding", "index": at, "embedding": _written(sized(vector, size), asked.encoding_format)}
            for at, vector in enumerate(vectors)
        ]
        tokens = sum(len(text) // 4 + 1 for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return json.dumps({"object": "list", "data": data, "model": asked.model, "usage": usage}).encode()
