"""The model that these tests share."""

from switchboard.testing.embeddings import minilm, minilm_folder

__all__ = ["minilm", "minilm_folder"]
