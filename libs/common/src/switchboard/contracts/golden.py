"""The golden schemas: what the bus speaks, as last accepted. ``make contracts`` writes them after a change that is meant.

A change that a consumer of before, or a message of before, would break on is not written but refused: the file on disk is
the state that was accepted last, and accepting another one is a new version of the contract.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switchboard.contracts.catalogue import schemas
from switchboard.contracts.compatibility import Break, breaks, unaccepted

RETIRED = "retired.txt"


def file_name(contract: str) -> str:
    return contract.replace("/", "_") + ".json"


def accepted(folder: Path) -> dict[str, dict[str, Any]]:
    """Contract name -> schema, of the files in ``folder``."""
    found = {}
    for path in folder.glob("*.json"):
        name, _, rest = path.stem.rpartition("_") if path.stem.endswith(("_request", "_reply")) else (path.stem, "", "")
        domain, _, version = name.rpartition("_")
        found["/".join(part for part in (domain, version, rest) if part)] = json.loads(path.read_text())
    return found


def retired(folder: Path) -> frozenset[str]:
    """Contracts that are allowed to be gone: first word of each line of ``retired.txt``; ``#`` begins a comment."""
    lines = (folder / RETIRED).read_text().splitlines() if (folder / RETIRED).exists() else []
    return frozenset(line.split()[0] for line in lines if line.strip() and not line.startswith("#"))


def write(
    folder: Path, readers_first: frozenset[str] = frozenset(), today: Mapping[str, Any] | None = None
) -> list[Break]:
    """One file per message, named after its contract. What a change would break; nothing is written then."""
    current = schemas() if today is None else today
    folder.mkdir(parents=True, exist_ok=True)
    found = unaccepted(breaks(accepted(folder), current, retired(folder)), readers_first)
    if found:
        return found
    wanted = {file_name(name): schema for name, schema in current.items()}
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, schema in wanted.items():
        (folder / name).write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
    return []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m switchboard.contracts.golden")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--readers-first",
        action="append",
        default=[],
        metavar="CONTRACT",
        help="values may become more here: nobody writes the new ones before every consumer has been deployed",
    )
    arguments = parser.parse_args()
    found = write(arguments.folder, frozenset(arguments.readers_first))
    sys.stderr.writelines(f"refused: {entry}\n" for entry in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
