"""Asking what to do with a call; the worker decides when the orchestrator can't be asked."""

from __future__ import annotations

from pathlib import Path

import structlog
from switchboard.bus import Bus
from switchboard.contracts.calls import ADMIT, AdmitReply, AdmitRequest, DecidedAlone
from switchboard.errors import Unavailable

from voice_agent.calls.standby import ask_standby

_log = structlog.get_logger(__name__)

ATTEMPTS = 2
CONNECT_SECONDS = 1.0
"""How long a caller rings for a bus that this job has never reached."""


async def admit(bus: Bus, standby: Path, request: AdmitRequest) -> AdmitReply:
    """The orchestrator's answer; when it can't be had the worker's, from the same snapshots, marked ``degraded``.

    ``Unavailable`` when neither answers.
    """
    try:
        await bus.connected(CONNECT_SECONDS)
        for attempt in range(ATTEMPTS):
            try:
                return await bus.request(ADMIT, request, tenant_id=None)
            except Unavailable as error:
                _log.warning("admission did not answer", error=error.code, attempt=attempt + 1)
    except Unavailable:
        _log.warning("no bus to ask for admission")
    return await ask_standby(standby, bus.keyring, request)


def decided_alone(request: AdmitRequest, reply: AdmitReply) -> DecidedAlone | None:
    """What the record still needs to be told; ``None`` when admission has recorded its decision."""
    if not reply.degraded:
        return None
    decision, plan = reply.decision, reply.decision.plan
    return DecidedAlone(
        request=request,
        outcome=decision.outcome,
        reason=decision.reason,
        evidence=decision.evidence,
        say="" if plan is None else plan.say,
        forward_to=None if plan is None else plan.forward_to,
        max_call_seconds=0 if plan is None else plan.max_call_seconds,
        configuration_version=None if plan is None else plan.snapshot.version,
    )
