"""Decides whether a request is one too many: together with all gateways through Redis, or alone and stricter without it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from redis.exceptions import RedisError
from switchboard.clock import Clock
from switchboard.telemetry import Metrics

from api_gateway.limits.breaker import Breaker
from api_gateway.limits.gcra import MICRO, Charge, Decision, LocalLimits, Policy
from api_gateway.limits.shared import SharedLimits

_log = structlog.get_logger(__name__)

_LATE_TURNS = 8
"""Turns of the event loop that an answer takes from the socket to us."""


class Limiter:
    """``deadline_s`` bounds what Redis may cost a request. Without it each limit of this process is a ``divisor``-th: as many
    gateways as that let through no more than the shared limit would."""

    def __init__(
        self, shared: SharedLimits, clock: Clock, metrics: Metrics, *, deadline_s: float, divisor: int
    ) -> None:
        self._shared = shared
        self._local = LocalLimits()
        self._breaker = Breaker(clock)
        self._clock = clock
        self._deadline_s = deadline_s
        self._divisor = divisor
        self._divided: dict[Policy, Policy] = {}
        self._late: set[asyncio.Task[Decision]] = set()
        self._decisions = metrics.counter(
            "switchboard.ratelimit.decisions", "Requests that limits were asked about", ("counted", "outcome")
        )
        self._failures = metrics.counter(
            "switchboard.ratelimit.redis_failures", "Times that Redis did not answer in time"
        )
        state = metrics.gauge(
            "switchboard.ratelimit.shared", "1 while limits are shared through Redis, 0 while they are local"
        )
        state.set_function(lambda: float(self._breaker.closed))

    async def take(self, charges: Sequence[Charge]) -> Decision:
        """Counts the request against all of ``charges``, or against none when one of them refuses it."""
        decision = await self._ask(charges) if self._breaker.permits() else None
        if decision is None:
            decision = self._alone(charges)
        outcome = "let_through" if decision.refused is None else decision.refused.policy.name
        self._decisions.labels("shared" if decision.shared else "local", outcome).inc()
        return decision

    def _alone(self, charges: Sequence[Charge]) -> Decision:
        own = [replace(charge, policy=self._own(charge.policy)) for charge in charges]
        return self._local.take(own, int(self._clock.monotonic() * MICRO))

    def _own(self, policy: Policy) -> Policy:
        found = self._divided.get(policy)
        if found is None:
            found = self._divided[policy] = policy.divided(self._divisor)
        return found

    async def _ask(self, charges: Sequence[Charge]) -> Decision | None:
        # Not asyncio.timeout: its cancellation would win over an answer that lies in the socket already.
        task = asyncio.ensure_future(self._shared.take(charges))
        try:
            await asyncio.wait({task}, timeout=self._deadline_s)
            for _ in range(_LATE_TURNS):
                # A process that was held up sees its deadline and the answer in the same turn.
                if task.done():
                    break
                await asyncio.sleep(0)
            if task.done():
                decision = task.result()
                if self._breaker.succeeded():
                    _log.warning("rate limits are shared again")
                return decision
            self._failed("DeadlineExceeded")
        except (RedisError, OSError) as error:
            self._failed(type(error).__name__)
        finally:
            self._give_up(task)
        return None

    def _give_up(self, task: asyncio.Task[Decision]) -> None:
        if task.done():
            return
        task.cancel()  # its connection is closed with it: an answer that comes late belongs to nobody
        self._late.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Decision]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # was looked at

    def _failed(self, error: str) -> None:
        self._failures.inc()
        if self._breaker.failed():
            _log.warning("rate limits are local and strict: redis does not answer", error=error)

    async def ready(self) -> None:
        """For the health check."""
        await self._shared.ping()

    async def close(self) -> None:
        if self._late:
            await asyncio.wait(self._late, timeout=1.0)
        await self._shared.close()
