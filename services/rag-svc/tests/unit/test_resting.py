from __future__ import annotations

from datetime import UTC, datetime

import pytest
from rag_svc.embedding.resting import Resting
from switchboard.clock import ManualClock

pytestmark = pytest.mark.unit


def test_a_failed_provider_rests_and_then_one_search_finds_out_how_it_is() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    resting = Resting(clock, 5.0)
    assert resting.fault("main:a") is None

    resting.failed("main:a", "timeout")
    clock.advance(4.9)
    assert resting.fault("main:a") == "timeout"
    assert resting.fault("other:a") is None

    clock.advance(0.2)
    assert resting.fault("main:a") is None, "this one asks"
    assert resting.fault("main:a") == "timeout", "the next one does not wait with it"
    resting.answered("main:a")
    assert resting.fault("main:a") is None


def test_no_rest_is_no_rest() -> None:
    resting = Resting(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), 0.0)
    resting.failed("main:a", "reset")
    assert resting.fault("main:a") is None
