"""Writes the golden schemas: ``python -m switchboard.contracts.golden FOLDER``, after a change of the wire that is meant."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from switchboard.contracts.catalogue import schemas


def write(folder: Path) -> int:
    """One file per message, named after its contract; files of contracts that are gone are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name.replace("/", "_") + ".json": schema for name, schema in schemas().items()}
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, schema in wanted.items():
        (folder / name).write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
    return len(wanted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m switchboard.contracts.golden")
    parser.add_argument("folder", type=Path)
    write(parser.parse_args().folder)
