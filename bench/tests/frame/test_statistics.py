from __future__ import annotations

import pytest

from bench.frame import statistics

pytestmark = pytest.mark.unit


def test_quantiles_are_measured_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [statistics.quantile(values, q) for q in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1, 50, 95, 99, 100]


@pytest.mark.parametrize(("count", "tails"), [(39, (False, False)), (40, (True, False)), (200, (True, True))])
def test_no_tail_is_told_of_too_few_values(count: int, tails: tuple[bool, bool]) -> None:
    values = [1.0] * count
    assert (statistics.p95(values) is not None, statistics.p99(values) is not None) == tails


def test_the_interval_holds_the_median_and_narrows_with_more_values() -> None:
    few, many = [1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5] * 40
    narrow, wide = statistics.spread(many), statistics.spread(few)
    assert wide.low < wide.median == 3 < wide.high
    assert narrow.high - narrow.low < wide.high - wide.low
    assert statistics.spread(few) == wide  # the same draw every time
    assert statistics.spread([7.0]).model_dump() == {"median": 7, "low": 7, "high": 7, "n": 1}
