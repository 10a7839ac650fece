"""`python -m sip_node --config FILE.yaml`: LiveKit SIP's place on one machine."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from sip_node.app import run_node
from sip_node.config import ConfigError, load_config
from sip_node.logs import configure_logging
from sip_node.psrpc.client import RpcError


def main() -> int:
    """0 after a clean stop, 1 when the node can't start, 2 when the file is wrong."""
    parser = argparse.ArgumentParser(prog="sip_node", description="Stands in LiveKit SIP's place on one machine.")
    parser.add_argument("--config", required=True, type=Path, help="livekit-sip's YAML file")
    arguments = parser.parse_args()
    try:
        config = load_config(arguments.config)
    except ConfigError as error:
        print(f"sip_node: {arguments.config} can't be used:\n{error}", file=sys.stderr)
        return 2
    configure_logging(config.logging)
    try:
        asyncio.run(run_node(config))
    except (RpcError, OSError) as error:
        print(f"sip_node: cannot start: {error}", file=sys.stderr)
        return 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The native WebRTC runtime sometimes aborts while the interpreter is torn down; everything is closed by now.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
