"""``python -m tenant_svc.audit verify [--tenant ID]``: does every chain hold, from its first line to its anchored head?

Exits 0 when all hold; 1 when one does not, naming the first bad line of each; 69 when database or bus are away.
``anchor [--tenant ID]`` anchors the newest lines of chains that hold, after the bucket was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn
from uuid import UUID

from switchboard.bus import Bus
from switchboard.bus.topology import AUDIT_HEADS
from switchboard.clock import SystemClock
from switchboard.contracts.base import Service
from switchboard.db import DATABASE_ERRORS, Database
from switchboard.errors import SwitchboardError
from switchboard.settings import load_or_exit
from switchboard.telemetry import setup

from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.verification import Verification, Verified
from tenant_svc.settings import CommandSettings

EX_UNAVAILABLE = 69


@asynccontextmanager
async def opened(settings: CommandSettings) -> AsyncIterator[tuple[Verification, Anchors]]:
    async with Database.open(settings.database, name="tenant-svc audit") as db:
        bus = await Bus.connect(settings.nats, settings.sealing, Service.TENANT_SVC)
        try:
            anchors = Anchors(db, bus.bucket(AUDIT_HEADS))
            yield Verification(db, anchors, bus.keyring, SystemClock()), anchors
        finally:
            await bus.drain()


async def run(settings: CommandSettings, command: str, tenant_id: UUID | None) -> int:
    """The number of chains that do not hold."""
    async with opened(settings) as (verification, anchors):
        bad = chains = lines = 0
        async for found in _chosen(verification, tenant_id):
            if command == "anchor" and found.unanchored:
                await anchors.advance(found.tenant_id, found.lines)
                _say(f"{found.tenant_id.hex}: line {found.lines} is anchored now")
                found = await verification.one(found.tenant_id)
            chains, lines, bad = chains + 1, lines + found.lines, bad + bool(found.problem)
            _report(found)
    _say(f"{chains} chains, {lines} lines: {f'{bad} do not hold' if bad else 'all hold'}")
    return bad


async def _chosen(verification: Verification, tenant_id: UUID | None) -> AsyncIterator[Verified]:
    if tenant_id is not None:
        yield await verification.one(tenant_id)
        return
    async for found in verification.all():
        yield found


def _report(found: Verified) -> None:
    if found.problem:
        _say(f"{found.tenant_id.hex}: {found.problem}")
    elif found.unanchored:
        _say(f"{found.tenant_id.hex}: holds; its last {found.unanchored} lines are not anchored yet")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def main() -> NoReturn:
    parser = argparse.ArgumentParser(prog="python -m tenant_svc.audit", description="Verify the audit's chains")
    parser.add_argument("command", choices=["verify", "anchor"])
    parser.add_argument("--tenant", type=UUID, help="one tenant instead of all")
    arguments = parser.parse_args()
    settings = load_or_exit(CommandSettings)
    telemetry = setup("tenant-svc", settings.telemetry, stream=sys.stderr)
    try:
        raise SystemExit(1 if asyncio.run(run(settings, arguments.command, arguments.tenant)) else 0)
    except SwitchboardError as error:
        sys.stderr.write(f"not verified: {error.detail}\n")
        raise SystemExit(EX_UNAVAILABLE) from None
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"not verified: {type(error).__name__}\n")
        raise SystemExit(EX_UNAVAILABLE) from None
    finally:
        telemetry.shutdown()


if __name__ == "__main__":
    main()
