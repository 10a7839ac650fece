"""What an embedder is, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pydantic import Field

from switchboard.contracts.providers import FaultKind
from switchboard.settings import Fragment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]
else:
    Vector = object  # numpy is an optional dependency of this package


class ModelMissing(RuntimeError):
    """The model folder holds no model, or one of another recipe; says how to make it."""


class EmbeddingFailed(Exception):
    """A provider gave no vectors. ``may_pass``: the same again, later, may succeed. Says nothing of the texts."""

    def __init__(self, endpoint: str, fault: FaultKind, *, may_pass: bool, after_s: float | None = None) -> None:
        super().__init__(f"{endpoint}: {fault}")
        self.endpoint = endpoint
        self.fault: FaultKind = fault
        self.may_pass = may_pass
        self.after_s = after_s
        """Seconds that the provider asks to be left alone, when it says so."""


class Embedder(Protocol):
    """Texts in, unit vectors out. ``model`` stands beside every stored vector: vectors of two models don't compare."""

    @property
    def model(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """One vector of ``dimensions`` float32 and length 1 per text, in order. Doesn't block the loop."""
        ...


class EmbeddingSettings(Fragment):
    """The offline embedder."""

    model_dir: Path = Field(description="folder made by `python -m switchboard.embeddings build --out FOLDER`")
