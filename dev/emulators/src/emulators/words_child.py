"""Builds a language model in a process of its own: ``python -m emulators.words_child FOLDER``, JSON on standard input.

It takes half a second of pure Python, which would hold up every answer that is being streamed meanwhile.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from voice_agent.offline.language_model import build_language_model


def main() -> int:
    asked = json.loads(sys.stdin.buffer.read())
    build_language_model(asked["texts"], names=asked["names"], places=asked["places"], cache=Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
