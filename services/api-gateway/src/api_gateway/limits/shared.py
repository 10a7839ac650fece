"""The limits that all gateways share, in `redis-app`: one script for all of a request's limits, on Redis' own clock.

Our own script: throttled-py (MIT) has GCRA, but takes one key a call, so that a request which one limit refuses would still
count for the others, and wants redis < 8; limits (MIT) has no GCRA.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from api_gateway.limits.gcra import Charge, Decision, Outcome

# ARGV: emission (us), quota and cost of each key. Returns of each: remaining, us until all of it is there again, us to wait.
# A TAT further ahead than a window comes from a clock that went back, or from a larger quota of before: it is cut.
# %.0f: as a string Lua writes numbers with 14 digits.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local kept = redis.call('MGET', unpack(KEYS))
local arrivals, answers, refused = {}, {}, false
for i = 1, #KEYS do
  local emission, quota, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local arrival = math.min(math.max(now, tonumber(kept[i]) or now), now + emission * quota)
  local wait = arrival + math.max(1, cost) * emission - now - emission * quota
  arrivals[i] = arrival
  answers[3 * i] = math.max(0, wait)
  refused = refused or wait > 0
end
for i = 1, #KEYS do
  local emission, quota, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  if not refused and cost > 0 then
    arrivals[i] = arrivals[i] + cost * emission
    redis.call('SET', KEYS[i], string.format('%.0f', arrivals[i]), 'PX', math.ceil((arrivals[i] - now) / 1000))
  end
  answers[3 * i - 2] = math.max(0, math.floor((now + emission * quota - arrivals[i]) / emission))
  answers[3 * i - 1] = arrivals[i] - now
end
return answers
"""
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_CONNECTIONS = 32


class SharedLimits:
    """``prefix`` stands before every key. Keys live until they mean nothing any more, a window at most."""

    def __init__(self, url: str, *, prefix: str, connect_timeout_s: float) -> None:
        self._prefix = prefix
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=connect_timeout_s,
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=None,  # whoever asks has a deadline for the whole
            retry=Retry(NoBackoff(), 0),
            lib_name=None,  # two commands less when a connection begins
            lib_version=None,
        )
        self._redis: Redis = Redis.from_pool(pool)

    async def take(self, charges: Sequence[Charge]) -> Decision:
        """One round trip. RedisError or OSError when there is no answer."""
        keys = [f"{self._prefix}:{charge.policy.name}:{charge.key}" for charge in charges]
        numbers = [part for charge in charges for part in (charge.policy.emission_us, charge.policy.quota, charge.cost)]
        try:
            found = await self._redis.evalsha(_SHA, len(keys), *keys, *numbers)
        except NoScriptError:  # the first request after Redis was started
            found = await self._redis.eval(_SCRIPT, len(keys), *keys, *numbers)
        return Decision(
            tuple(
                Outcome(charge.policy, *found[3 * at : 3 * at + 3])  # three integers
                for at, charge in enumerate(charges)
            )
        )

    async def ping(self) -> None:
        await self._redis.ping()

    async def close(self) -> None:
        await self._redis.aclose()
