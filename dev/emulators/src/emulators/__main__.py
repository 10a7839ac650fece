"""``python -m emulators``: serves until SIGTERM or SIGINT. Says where on standard output, as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from switchboard.embeddings import ModelMissing

from emulators.hearing import TeachingFailed
from emulators.server import Config, Emulators

KEY = "EMULATORS_KEY"


def parse(arguments: list[str] | None = None) -> Config:
    """Exits with 2 and a message for a wrong command line."""
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="all protocols, by path (default: a free one)")
    parser.add_argument("--admin-port", type=int, default=0, help="behaviours and requests (default: a free one)")
    parser.add_argument(
        "--embeddings", type=Path, required=True, help="folder of `python -m switchboard.embeddings build`"
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder for language models")
    parser.add_argument("--seed", type=int, default=1, help="of ids")
    chosen = parser.parse_args(arguments)
    key = os.environ.get(KEY, "")
    if not key:
        parser.error(f"set {KEY}: the API key that clients must give")
    return Config(
        key=key,
        embeddings=chosen.embeddings,
        cache=chosen.cache,
        port=chosen.port,
        admin_port=chosen.admin_port,
        seed=chosen.seed,
    )


async def serve(config: Config) -> None:
    """Until it is told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Emulators(config) as emulators:
        print(json.dumps({"url": emulators.url, "admin_url": emulators.admin_url}), flush=True)
        await stop.wait()


def main() -> int:
    config = parse()
    try:
        asyncio.run(serve(config))
    except (ModelMissing, TeachingFailed, OSError) as error:
        print(f"emulators: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
