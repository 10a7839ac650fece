"""``python -m call_orchestrator``."""

from __future__ import annotations

from call_orchestrator.main import main

main()
