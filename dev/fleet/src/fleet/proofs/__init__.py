"""Means of proving what the bus promises: traced servers, what a disk would hold, processes that are killed at a given
await."""

from __future__ import annotations

import os

PATIENCE_SECONDS = float(os.environ.get("BUS_PATIENCE_S", "60"))
"""How long a test waits for what must come. Mutants, whose tests wait for what never comes, are run with less."""
