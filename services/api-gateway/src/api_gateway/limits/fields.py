"""What a client is told about limits: the fields of draft-ietf-httpapi-ratelimit-headers, and the 429."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.errors import FieldProblem, RateLimited

from api_gateway.limits.gcra import MICRO, Outcome


def fields(outcomes: Iterable[Outcome]) -> list[tuple[bytes, bytes]]:
    """The header fields. ``t``: seconds until the whole quota is there again."""
    policies, limits = [], []
    for outcome in outcomes:
        policy = outcome.policy
        policies.append(f'"{policy.name}";q={policy.quota};w={policy.window_s}')
        limits.append(f'"{policy.name}";r={outcome.remaining};t={seconds(outcome.reset_us)}')
    if not policies:
        return []
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(limits).encode())]


def refusal(outcome: Outcome) -> RateLimited:
    """The problem of a request that ``outcome`` refuses."""
    wait, policy = seconds(outcome.wait_us), outcome.policy
    detail = f"the limit `{policy.name}` lets {policy.quota} request(s) through in {policy.window_s} s"
    fix = f"wait {wait} s (the header retry-after), then ask less often; the header ratelimit says what is left"
    problem = FieldProblem("", detail, fix)
    return RateLimited(detail, fields=[problem], retry_after_s=wait, violated_policies=[policy.name])


def seconds(micros: int) -> int:
    """Whole seconds, none too few."""
    return -(-micros // MICRO)
