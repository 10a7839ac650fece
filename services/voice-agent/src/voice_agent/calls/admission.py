"""Asking what to do with a call, and deciding alone when nobody answers."""

from __future__ import annotations

import asyncio

import structlog
from switchboard.admission import decide
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.clock import Clock
from switchboard.contracts.calls import ADMIT, AdmitReply, AdmitRequest
from switchboard.degraded import degraded_call_id, degraded_epoch
from switchboard.errors import Unavailable
from switchboard.snapshot import SnapshotBook

_log = structlog.get_logger(__name__)

ATTEMPTS = 2
OWN_SNAPSHOT_SECONDS = 2.0


async def admit(bus: Bus, blobs: Blobs, clock: Clock, request: AdmitRequest) -> AdmitReply:
    """The orchestrator's answer; when it can't be had, our own decision from the same snapshots, marked ``degraded``."""
    for attempt in range(ATTEMPTS):
        try:
            return await bus.request(ADMIT, request, tenant_id=None)
        except Unavailable as error:
            _log.warning("admission did not answer", error=error.code, attempt=attempt + 1)
    return await _decide_alone(bus, blobs, clock, request)


async def _decide_alone(bus: Bus, blobs: Blobs, clock: Clock, request: AdmitRequest) -> AdmitReply:
    """``live_calls`` is not known here and taken as 0: better one call too many than a caller turned away for nothing."""
    book = SnapshotBook(bus.bucket(SNAPSHOTS), blobs)
    follow = asyncio.create_task(book.run())
    try:
        async with asyncio.timeout(OWN_SNAPSHOT_SECONDS):
            await book.until_caught_up()
    except TimeoutError:
        raise Unavailable("neither the orchestrator nor the snapshots answered") from None
    finally:
        follow.cancel()
    sip = request.sip
    decision = decide(book.match(str(sip.dialled), sip.trunk, sip.carrier_account), clock.now(), live_calls=0)
    # The orchestrator, once it hears of this call, names it alike.
    return AdmitReply(
        call_id=degraded_call_id(request.room_sid),
        epoch=degraded_epoch(clock.now()),
        decision=decision,
        degraded=True,
    )
