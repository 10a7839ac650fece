"""`python -m fleet demo|up|serve|down|status|logs|call|setup|migrate`; the Makefile's targets call it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from switchboard.errors import SwitchboardError

from fleet.api import ApiError, DocumentFailed
from fleet.files import FleetFiles
from fleet.process import FleetError


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 when it did what was asked, 1 with a message on standard error when not, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m fleet", description="One machine's Switchboard.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("demo", "start, onboard, call, judge, stop"),
        ("up", "start to stay"),
        ("serve", "up, in front"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--seed", type=int, help="draw the same clinic again")
        if name != "demo":
            command.add_argument("--copies", default="", help='processes of a service, e.g. "rag-svc=2 voice-agent=2"')
        if name == "demo":
            command.add_argument(
                "--providers", help="emulated: paid providers' protocols instead of the offline pipeline"
            )
    for name, text in (("down", "stop what `up` started"), ("status", "what runs"), ("setup", "LiveKit and models")):
        commands.add_parser(name, help=text)
    commands.add_parser("migrate", help="bring the running fleet's database to this checkout's migrations")
    commands.add_parser("logs", help="follow the logs").add_argument("name", nargs="?", help="one process only")
    commands.add_parser("call", help="call the demo clinic").add_argument("ask", help="what the caller says")
    chosen = parser.parse_args(arguments)
    # espeak-ng's sound library makes folders for itself; keep them below var/.
    os.environ.setdefault("PULSE_RUNTIME_PATH", str(FleetFiles.var() / "pulse"))
    os.environ.setdefault("PULSE_STATE_PATH", str(FleetFiles.var() / "pulse"))
    try:
        return dispatch(chosen)
    except (FleetError, ApiError, DocumentFailed, SwitchboardError, TimeoutError) as error:
        print(f"{chosen.command} failed: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything was stopped", file=sys.stderr)
        return 130


def dispatch(chosen: argparse.Namespace) -> int:
    """Imports late: `status` needn't load what `demo` needs."""
    if chosen.command == "setup":
        from fleet.setup import main as install

        return install()
    if chosen.command == "demo":
        from fleet.demo import run_demo

        return run(run_demo(chosen.seed, chosen.providers))
    from fleet import resident

    if chosen.command == "serve":
        return run(resident.serve(chosen.seed, chosen.copies))
    if chosen.command == "call":
        return run(resident.call(chosen.ask))
    if chosen.command == "up":
        return resident.up(chosen.seed, chosen.copies)
    if chosen.command == "logs":
        return resident.logs(chosen.name)
    plain = {"down": resident.down, "status": resident.status, "migrate": resident.migrate}
    return plain[chosen.command]()


def run(work: Coroutine[Any, Any, int]) -> int:
    """asyncio.run, with SIGTERM treated as Ctrl-C is: everything that was started is stopped."""

    async def stoppable() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    return asyncio.run(stoppable())
