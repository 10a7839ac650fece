"""Who runs when, and what is made of it."""

from __future__ import annotations

import pytest

from bench.frame.interleave import CPU, LATENCY, MEMORY, Against, Batch, Side, interleave
from bench.frame.results import Role
from bench.tests.frame.made import batch, trial

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("names", "order"), [("AB", "ABBAABBA"), ("ABC", "ABCCBAABCCBA")])
async def test_sides_take_turns_forth_and_back_after_a_warm_up(names: str, order: str) -> None:
    ran: list[tuple[str, int]] = []

    def side(name: str) -> Side:
        async def run(units: int) -> Batch:
            ran.append((name, units))
            return Batch(units, (0.1 * len(ran),) * units)

        role: Role = "ours" if name == "A" else "peer"
        return Side(name, role, run)

    done = await interleave([side(name) for name in names], units=7, blocks=2, warmup=3)
    assert ran == [(name, 3) for name in names] + [(name, 7) for name in order]
    # A's first batch of a block is the earlier one.
    assert all(first.seconds[0] < second.seconds[0] for pairs in done.batches.values() for first, second in pairs)


def test_a_ratio_is_the_median_of_the_blocks_ratios() -> None:
    made = trial((0.004, 0.0003), (0.002, 0.0002))
    made.batches["our wrapper"][0] = (batch(9.0, 0.0003), batch(9.0, 0.0003))  # one block of five was disturbed
    case = made.case("x", "request", [Against("the library", LATENCY, 1.25), Against("the library", CPU, 1.5)])
    latency, cpu = case.comparisons
    assert latency.ratio.median == pytest.approx(2.0)
    assert latency.ratio.high > latency.ratio.median
    assert latency.met is False
    assert cpu.ratio.median == pytest.approx(1.5)
    assert cpu.ratio.n == 5


@pytest.mark.parametrize(("drift", "quiet"), [(1.0, True), (1.09, True), (1.12, False), (0.92, True), (0.9, False)])
def test_a_side_that_disagrees_with_itself_is_noisy(drift: float, quiet: bool) -> None:
    case = trial((0.004, 0.0003), (0.002, 0.0002), drift).case("x", "request", [Against("the library", LATENCY)])
    assert [(one.side, one.measure) for one in case.agreements] == [
        ("our wrapper", "latency"),
        ("the library", "latency"),
    ]
    assert [one.quiet for one in case.agreements] == [quiet, quiet]


def test_figures_of_a_side() -> None:
    ours = trial((0.004, 0.0003), (0.002, 0.0002)).case("x", "request", [Against("the library", MEMORY)]).sides[0]
    assert (ours.n, ours.p50_s, ours.p95_s, ours.p99_s) == (100, 0.004, 0.004, None)
    assert ours.cpu_s is not None
    assert ours.cpu_s.median == pytest.approx(0.0003)
    assert ours.pss_bytes is not None
    assert ours.pss_bytes.median == 50_000_000


def test_a_measure_that_was_not_taken_cannot_be_compared() -> None:
    made = trial((0.004, 0.0003), (0.002, 0.0002))
    made.batches["the library"][0] = (Batch(10, (0.1,)), Batch(10, (0.1,)))
    with pytest.raises(ValueError, match="the library has no CPU"):
        made.case("x", "request", [Against("the library", CPU)])
