from __future__ import annotations

from datetime import UTC, datetime

import pytest
from api_gateway.limits.breaker import Breaker
from api_gateway.limits.fields import fields, refusal, seconds
from api_gateway.limits.gcra import MICRO, Charge, LocalLimits, Outcome, Policy
from api_gateway.limits.policies import address_key, hashed
from hypothesis import given
from hypothesis import strategies as st
from switchboard.clock import ManualClock
from switchboard.service.problems import problem_of

pytestmark = pytest.mark.unit

FIVE = Policy("key", 5, 10)


def test_the_whole_quota_at_once_then_one_for_each_part_of_the_window() -> None:
    limits = LocalLimits()
    passed = [limits.take([Charge(FIVE, "a")], 0).refused is None for _ in range(7)]
    assert passed == [True] * 5 + [False] * 2
    assert limits.take([Charge(FIVE, "a")], 2 * MICRO - 1).refused is not None
    assert limits.take([Charge(FIVE, "a")], 2 * MICRO).refused is None
    assert limits.take([Charge(FIVE, "b")], 0).refused is None


def test_an_outcome_says_what_is_left_and_how_long_to_wait() -> None:
    limits = LocalLimits()
    (first,) = limits.take([Charge(FIVE, "a")], 0).outcomes
    assert (first.remaining, first.reset_us, first.wait_us) == (4, 2 * MICRO, 0)
    for _ in range(4):
        limits.take([Charge(FIVE, "a")], 0)
    (refused,) = limits.take([Charge(FIVE, "a")], 500_000).outcomes
    assert (refused.remaining, refused.reset_us, refused.wait_us) == (0, 9_500_000, 1_500_000)


def test_a_request_that_one_limit_refuses_counts_for_none() -> None:
    limits = LocalLimits()
    wide, narrow = Policy("address", 10, 10), Policy("key", 1, 10)
    both = [Charge(wide, "a"), Charge(narrow, "k")]
    assert limits.take(both, 0).refused is None
    for _ in range(5):
        decision = limits.take(both, 0)
        assert decision.refused is not None
        assert decision.refused.policy.name == "key"
    assert limits.take([Charge(wide, "a")], 0).outcomes[0].remaining == 8


def test_looking_costs_nothing_and_is_refused_where_a_request_would_be() -> None:
    limits = LocalLimits()
    look = Charge(Policy("failures", 1, 10), "a", cost=0)
    assert [limits.take([look], 0).refused for _ in range(3)] == [None] * 3
    limits.take([Charge(look.policy, "a")], 0)
    assert limits.take([look], 0).refused is not None


def test_memory_is_bounded_and_one_policys_keys_push_out_no_others() -> None:
    limits = LocalLimits(size=3)
    one = Policy("account", 1, 3600)
    limits.take([Charge(one, "victim")], 0)
    for number in range(50):
        limits.take([Charge(Policy("address", 1, 3600), str(number))], 0)
    assert limits.take([Charge(one, "victim")], 0).refused is not None
    assert sum(map(len, limits._arrivals.values())) == 4


@given(st.lists(st.integers(0, 3 * MICRO), max_size=200), st.integers(1, 9), st.integers(1, 9))
def test_no_window_lets_through_more_than_twice_the_quota(gaps: list[int], quota: int, window_s: int) -> None:
    """GCRA's bound: the quota at once, and what flows back within the window."""
    limits, policy, now, passed = LocalLimits(), Policy("p", quota, window_s), 0, []
    for gap in gaps:
        now += gap
        if limits.take([Charge(policy, "a")], now).refused is None:
            passed.append(now)
    for start in passed:
        assert sum(start <= at < start + window_s * MICRO for at in passed) <= 2 * quota


def test_a_policys_part_is_never_nothing() -> None:
    assert Policy("p", 600, 60).divided(10) == Policy("p", 60, 60)
    assert Policy("p", 3, 60).divided(10).quota == 1


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try_at_a_time() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    breaker = Breaker(clock, failures=3, rest_s=1.0)
    assert [breaker.failed(), breaker.failed()] == [False, False]
    breaker.succeeded()
    assert [breaker.failed(), breaker.failed(), breaker.failed(), breaker.failed()] == [False, False, True, False]
    assert not breaker.permits()
    clock.advance(1.0)
    assert [breaker.permits(), breaker.permits()] == [True, False]
    clock.advance(1.0)
    assert breaker.permits()
    assert breaker.succeeded()
    assert breaker.closed
    assert [breaker.permits(), breaker.permits()] == [True, True]


def test_header_fields_are_those_of_the_draft() -> None:
    outcomes = [Outcome(FIVE, 4, 2 * MICRO, 0), Outcome(Policy("tenant", 100, 60), 99, 600_000, 0)]
    assert fields(outcomes) == [
        (b"ratelimit-policy", b'"key";q=5;w=10, "tenant";q=100;w=60'),
        (b"ratelimit", b'"key";r=4;t=2, "tenant";r=99;t=1'),
    ]
    assert fields([]) == []


def test_a_refusal_says_which_limit_and_when_to_come_again() -> None:
    error = refusal(Outcome(FIVE, 0, 9_500_000, 1_500_000))
    problem = problem_of(error)
    assert (problem.status, problem.headers["retry-after"]) == (429, "2")
    body = error.to_problem()
    assert body["violated-policies"] == ["key"]
    assert body["errors"][0]["fix"].startswith("wait 2 s")
    assert seconds(1) == 1
    assert seconds(0) == 0


def test_one_subscriber_is_one_key() -> None:
    assert address_key("::ffff:192.0.2.7") == address_key("192.0.2.7")
    assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9")
    assert address_key("2001:db8:1:2::1") != address_key("2001:db8:1:3::1")
    assert address_key("") == address_key("no address")
    assert hashed(b"s" * 32, "address", b"x") != hashed(b"t" * 32, "address", b"x")
    assert hashed(b"s" * 32, "address", b"x") != hashed(b"s" * 32, "account", b"x")
