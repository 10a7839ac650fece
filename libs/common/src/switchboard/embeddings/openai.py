"""Embeddings of any server compatible with OpenAI's ``POST /embeddings``.

Request and reply: https://platform.openai.com/docs/api-reference/embeddings/create. ``dimensions`` (of text-embedding-3
and later) makes the vectors as long as our column; what comes in another size is a bad answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from switchboard.contracts.documents import EMBEDDING_DIMENSIONS
from switchboard.embeddings.port import EmbeddingFailed, Vector
from switchboard.errors import DeadlineExceeded, Unavailable
from switchboard.http import HttpClient, HttpConnectError, HttpError, HttpResponse

if TYPE_CHECKING:
    from switchboard.contracts.providers import FaultKind

RETRY_AFTER_S = 0.05
"""Before the second try, when the provider names no time."""

MAX_REPLY_BYTES = 16 * 1024 * 1024
"""About ten times what 32 vectors take as text."""

_SHORTEST = 1e-6


class _Item(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    index: int
    embedding: list[float] = Field(min_length=EMBEDDING_DIMENSIONS, max_length=EMBEDDING_DIMENSIONS)


class _Reply(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    data: list[_Item]


class OpenAiEmbeddings:
    """One endpoint. ``http`` may be shared; ``endpoint`` is its name, for what is said of its failures."""

    def __init__(self, endpoint: str, base_url: str, api_key: SecretStr, http: HttpClient) -> None:
        self._endpoint = endpoint
        self._url = f"{base_url}/embeddings"
        self._key = api_key
        self._http = http

    async def embed(self, model: str, texts: Sequence[str], deadline_s: float) -> list[Vector]:
        """One float32 vector of 384 and length 1 per text, in order, within ``deadline_s`` seconds.

        A second try follows what may pass (429, 5xx, a broken connection) when there is time for it.
        :class:`EmbeddingFailed`.
        """
        if not texts:
            return []
        if deadline_s <= 0:
            raise self._failed("timeout", may_pass=True)
        # An empty text is refused with the whole request; a space is the least that stands for one.
        body = {
            "model": model,
            "input": [text or " " for text in texts],
            "dimensions": EMBEDDING_DIMENSIONS,
            "encoding_format": "float",
        }
        try:
            async with asyncio.timeout(deadline_s) as scope:
                try:
                    return await self._once(body, len(texts))
                except EmbeddingFailed as failure:
                    wait = RETRY_AFTER_S if failure.after_s is None else failure.after_s
                    ends = scope.when()
                    if not failure.may_pass or ends is None or asyncio.get_running_loop().time() + wait >= ends:
                        raise
                    await asyncio.sleep(wait)
                    return await self._once(body, len(texts))
        except TimeoutError:
            raise self._failed("timeout", may_pass=True) from None

    async def _once(self, body: dict[str, object], count: int) -> list[Vector]:
        headers = {"authorization": f"Bearer {self._key.get_secret_value()}"}
        answering = False
        try:
            async with self._http.stream("POST", self._url, json=body, headers=headers) as response:
                answering = True
                if response.status_code != 200:
                    raise self._refusal(response)
                data = await self._read(response)
        except DeadlineExceeded:
            raise self._failed("timeout", may_pass=True) from None
        except Unavailable as error:
            refused = isinstance(error.__cause__, HttpConnectError)
            raise self._failed("refused" if refused else "reset", may_pass=True) from None
        except HttpError:
            raise self._failed("cut_off" if answering else "reset", may_pass=True) from None
        return self._vectors(data, count)

    def _refusal(self, response: HttpResponse) -> EmbeddingFailed:
        status = response.status_code
        if status == 429:
            return self._failed("rate_limited", may_pass=True, after_s=_seconds(response.headers.get("retry-after")))
        return self._failed("refused", may_pass=status >= 500)

    async def _read(self, response: HttpResponse) -> bytes:
        data = bytearray()
        async for piece in response.aiter_bytes():
            data += piece
            if len(data) > MAX_REPLY_BYTES:
                raise self._failed("bad_answer", may_pass=False)
        return bytes(data)

    def _vectors(self, data: bytes, count: int) -> list[Vector]:
        import numpy as np

        try:
            items = _Reply.model_validate_json(data).data
        except ValidationError:
            whole = data.rstrip().endswith(b"}")
            raise self._failed("bad_answer" if whole else "cut_off", may_pass=not whole) from None
        if sorted(item.index for item in items) != list(range(count)):
            raise self._failed("bad_answer", may_pass=False)
        ordered = sorted(items, key=lambda item: item.index)
        vectors = np.asarray([item.embedding for item in ordered], dtype=np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths < _SHORTEST).any():  # a length is NaN when a member is
            raise self._failed("bad_answer", may_pass=False)
        unit: list[Vector] = list((vectors / lengths).astype(np.float32))
        return unit

    def _failed(self, fault: FaultKind, *, may_pass: bool, after_s: float | None = None) -> EmbeddingFailed:
        return EmbeddingFailed(self._endpoint, fault, may_pass=may_pass, after_s=after_s)


def _seconds(value: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is longer than we wait."""
    try:
        seconds = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None
