"""``python -m tenant_svc.rotate master`` and ``... data-keys --made-before TIME``: replace keys while calls go on.

How, and in which order with the settings: docs/operations/secrets.md. A run that was cut short is begun again with the same
arguments. Exits 0; 1 when it could not go on; 78 for settings.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

from switchboard.bus import Bus
from switchboard.clock import SystemClock
from switchboard.columns import SealedColumn
from switchboard.contracts.base import Service
from switchboard.db import DATABASE_ERRORS, Database
from switchboard.errors import SwitchboardError
from switchboard.republish import moment
from switchboard.sealed import SealError
from switchboard.settings import load_or_exit
from switchboard.telemetry import setup

from tenant_svc.identity.totp import SECRET, reseal_secrets
from tenant_svc.mail.outbox import BODY, reseal_mails
from tenant_svc.rotation.service import SETTLE_SECONDS, Reseal, Rotation
from tenant_svc.settings import CommandSettings
from tenant_svc.trunks.service import PASSWORD, reseal_passwords

CREDENTIALS: Mapping[SealedColumn, Reseal] = {PASSWORD: reseal_passwords}
"""Every column of the fleet with a tenant's credential. One that is missing here fails a test."""

PLATFORM_CREDENTIALS: Mapping[SealedColumn, Reseal] = {SECRET: reseal_secrets, BODY: reseal_mails}
"""The same for what is sealed under the platform's key, which follows from the master key."""


async def rotate(settings: CommandSettings, made_before: datetime | None, settle_s: float) -> str:
    """What was done, in one line. ``made_before``: data keys instead of the master key."""
    async with Database.open(settings.database, name="tenant-svc rotate") as db:
        bus = await Bus.connect(settings.nats, settings.sealing, Service.TENANT_SVC)
        try:
            rotation = Rotation(db, bus.keyring, tuple(CREDENTIALS.values()), SystemClock(), settle_s)
            if made_before is None:
                done = await rotation.master(tuple(PLATFORM_CREDENTIALS.values()))
                return (
                    f"{done.tenants} tenants: {done.data_keys} data keys and {done.audit_keys} audit keys rewrapped, "
                    f"{done.credentials} platform credentials sealed anew"
                )
            new = await rotation.data_keys(made_before)
            return (
                f"{new.tenants} tenants: {new.made} data keys made, {new.promoted} begun to seal, "
                f"{new.credentials} credentials sealed anew"
            )
        finally:
            await bus.drain()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tenant_svc.rotate", description="Replace keys while calls go on")
    which = parser.add_subparsers(dest="which", required=True)
    which.add_parser("master", help="wrap everything under the master key in force")
    data_keys = which.add_parser("data-keys", help="give tenants new data keys")
    data_keys.add_argument("--made-before", type=moment, required=True, help="replace keys that are older than this")
    data_keys.add_argument(
        "--settle-s", type=float, default=SETTLE_SECONDS, help="seconds until every process has read the bucket"
    )
    return parser.parse_args()


def main() -> NoReturn:
    arguments = _arguments()
    settings = load_or_exit(CommandSettings)
    telemetry = setup("tenant-svc", settings.telemetry, stream=sys.stderr)
    made_before = arguments.made_before if arguments.which == "data-keys" else None
    settle_s = arguments.settle_s if arguments.which == "data-keys" else 0.0
    try:
        sys.stdout.write(asyncio.run(rotate(settings, made_before, settle_s)) + "\n")
    except SwitchboardError as error:
        sys.stderr.write(f"stopped: {error.detail}; run it again\n")
        raise SystemExit(1) from None
    except SealError:
        sys.stderr.write("stopped: a key was wrapped under a master key that is not among the settings\n")
        raise SystemExit(1) from None
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"stopped: {type(error).__name__}; run it again\n")
        raise SystemExit(1) from None
    finally:
        telemetry.shutdown()
    raise SystemExit(0)


if __name__ == "__main__":
    main()
