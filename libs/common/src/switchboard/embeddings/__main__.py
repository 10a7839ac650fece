"""``python -m switchboard.embeddings build --out FOLDER``. Exits 0, or 1 with the reason."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from switchboard.embeddings.build import build
from switchboard.embeddings.port import ModelMissing


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m switchboard.embeddings", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="make the model folder from the installed weights")
    make.add_argument("--out", type=Path, required=True, help="folder to make; nothing is done when it is up to date")
    chosen = parser.parse_args(arguments)
    try:
        made = build(chosen.out)
    except ModelMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("made\n" if made else "up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
