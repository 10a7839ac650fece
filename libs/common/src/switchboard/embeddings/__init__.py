"""Text to vectors. :class:`MiniLm` is the offline default: no key, no network, no torch.

::

    python -m switchboard.embeddings build --out FOLDER     # once, at set-up; at once when it is there already

    embedder = MiniLm.open(settings.embeddings.model_dir)
    vectors = await embedder.embed(["how much is a cleaning"])

A tenant may choose a provider's instead. :class:`Embedders` is all of them behind one door, by space::

    async with Embedders.open(embedder, settings.providers.endpoints) as embedders:
        space = embedders.space(snapshot.agent.providers.embeddings)
        vectors = await embedders.embed(space, ["how much is a cleaning"], deadline_s=0.8)
"""

from switchboard.embeddings.minilm import MiniLm
from switchboard.embeddings.port import Embedder, EmbeddingFailed, EmbeddingSettings, ModelMissing, Vector
from switchboard.embeddings.spaces import Embedders, endpoint_of

__all__ = [
    "Embedder",
    "Embedders",
    "EmbeddingFailed",
    "EmbeddingSettings",
    "MiniLm",
    "ModelMissing",
    "Vector",
    "endpoint_of",
]
