"""The voice benches in their quick form on one bed: that each finds what it looks for. What it takes is not judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet.speech import Synthesizer

from bench import answering, barge_in, call_cost, voice_to_voice
from bench.frame.command import Options
from bench.frame.results import Case
from bench.voice.bed import PROVIDERS_MS, bed
from bench.voice.sides import Findings
from bench.voice.speech import Callers

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(400)]

WORDS_A_MINUTE = 300
SIDES = ["ours", "plain, stock", "plain, our turn settings", "floor"]


def names(case: Case) -> list[str]:
    return [side.name for side in case.sides]


def check_voice_to_voice(found: Findings) -> None:
    (case,) = found.cases
    assert names(case) == SIDES
    times = {side.name: side.p50_s for side in case.sides}
    assert all(times.values())
    # By its definition; and nobody can answer before the providers have.
    assert times["floor"] is not None
    assert times["floor"] > PROVIDERS_MS / 1000
    assert {one.against for one in case.comparisons} == set(SIDES[1:])


def check_barge_in(found: Findings) -> None:
    assert [names(case) for case in found.cases] == [["ours", "plain, stock", "floor"]]
    assert [figure.unit for figure in found.figures] == ["ms"]
    assert sum("made a pause" in note for note in found.notes) == 1


def check_answering(found: Findings) -> None:
    assert [side.n for case in found.cases for side in case.sides] == [4, 4]
    assert all("0 of" in note for note in found.notes if "unanswered" in note)


def check_call_cost(found: Findings) -> None:
    alone, whole = found.cases
    for one, more in zip(alone.sides, whole.sides, strict=True):
        assert one.cpu_s is not None
        assert more.cpu_s is not None
        assert 0 < one.cpu_s.median < more.cpu_s.median
        assert one.pss_bytes is not None
        assert one.pss_bytes.median > 1_000_000
    assert "voice-agent" in found.notes[0]


async def test_each_voice_bench_finds_what_it_looks_for(tmp_path: Path) -> None:
    options = Options(seed=1, quick=True, accept=False, into=tmp_path, whatever=False)
    async with bed(tmp_path / "bed", words_a_minute=WORDS_A_MINUTE) as made:
        callers = Callers(made.clinic, Synthesizer(tmp_path / "said"), options.seed)
        check_voice_to_voice(await voice_to_voice.collect(made, callers, options))
        check_answering(await answering.collect(made, callers, options))
        check_barge_in(await barge_in.collect(made, callers, options))
        check_call_cost(await call_cost.collect(made, callers, options))
