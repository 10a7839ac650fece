"""Text to vectors. :class:`MiniLm` is the offline default: no key, no network, no torch.

::

    python -m switchboard.embeddings build --out FOLDER     # once, at set-up; at once when it is there already

    embedder = MiniLm.open(settings.embeddings.model_dir)
    vectors = await embedder.embed(["how much is a cleaning"])
"""

from switchboard.embeddings.minilm import MiniLm
from switchboard.embeddings.port import Embedder, EmbeddingSettings, ModelMissing, Vector

__all__ = ["Embedder", "EmbeddingSettings", "MiniLm", "ModelMissing", "Vector"]
