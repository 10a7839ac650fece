"""Every embedder that this process can use, by the space of its vectors.

A space is what vectors may be compared in: ``<endpoint>:<model>`` of a provider, or the offline model's own name. It
stands with every stored vector. An endpoint's name is part of it, so a name must go on meaning the same vectors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from switchboard.contracts.providers import OFFLINE, SERVES, FaultKind, ProviderChoice
from switchboard.embeddings.openai import OpenAiEmbeddings
from switchboard.embeddings.port import Embedder, EmbeddingFailed, Vector
from switchboard.http import HttpTransport, client
from switchboard.settings import ProviderEndpoint

DEFAULT_MODEL = "text-embedding-3-small"
"""The smallest of OpenAI's that can be asked for 384 dimensions."""

REQUEST_TIMEOUT_S = 30.0
"""Of one read from a socket; the deadline of the work is shorter."""

OnFault = Callable[[str, FaultKind], None]
"""Told of each failure: endpoint, fault."""


def endpoint_of(space: str) -> str:
    """Whose vectors these are; ``offline`` for ours. No endpoint's name and not our model's has a colon."""
    endpoint, colon, _ = space.partition(":")
    return endpoint if colon else OFFLINE


class Embedders:
    """The offline embedder and the endpoints that can embed."""

    def __init__(
        self,
        offline: Embedder,
        remote: Mapping[str, OpenAiEmbeddings] | None = None,
        on_fault: OnFault = lambda _endpoint, _fault: None,
    ) -> None:
        self._offline = offline
        self._remote = remote or {}
        self._on_fault = on_fault

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        offline: Embedder,
        endpoints: Mapping[str, ProviderEndpoint],
        *,
        on_fault: OnFault = lambda _endpoint, _fault: None,
        transport: HttpTransport | None = None,
    ) -> AsyncIterator[Embedders]:
        """``endpoints`` of a kind that makes no embeddings are left alone. ``transport`` is for tests."""
        # A provider is another company: it is not told of our traces.
        async with client(timeout_s=REQUEST_TIMEOUT_S, propagate_trace=False, transport=transport) as http:
            remote = {
                name: OpenAiEmbeddings(name, endpoint.base_url, endpoint.api_key, http)
                for name, endpoint in endpoints.items()
                if "embeddings" in SERVES[endpoint.kind]
            }
            yield cls(offline, remote, on_fault)

    @property
    def offline(self) -> str:
        """The space that is always there."""
        return self._offline.model

    def space(self, choice: ProviderChoice | None) -> str:
        """The space that a tenant has chosen."""
        if choice is None or choice.endpoint == OFFLINE:
            return self.offline
        return f"{choice.endpoint}:{choice.model or DEFAULT_MODEL}"

    async def embed(self, space: str, texts: Sequence[str], deadline_s: float) -> list[Vector]:
        """One unit vector of 384 per text, in order. The offline space needs no deadline: it waits for nobody.

        :class:`EmbeddingFailed`; also for an endpoint that this process has not, which passes when operators add it.
        """
        if space == self.offline:
            return await self._offline.embed(texts)
        endpoint, _, model = space.partition(":")
        try:
            remote = self._remote.get(endpoint)
            if remote is None:
                raise EmbeddingFailed(endpoint_of(space), "refused", may_pass=False)
            return await remote.embed(model, texts, deadline_s)
        except EmbeddingFailed as failure:
            self._on_fault(failure.endpoint, failure.fault)
            raise
