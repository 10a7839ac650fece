"""``python -m api_gateway.openapi`` prints the public API's OpenAPI document, as it is kept in ``openapi.json``."""

from __future__ import annotations

import json
import sys

from api_gateway.app import bare_app


def document() -> str:
    """JSON with sorted keys, so that a change of the API is the only change of the text."""
    return json.dumps(bare_app().openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
