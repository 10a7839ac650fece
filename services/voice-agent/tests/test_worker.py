"""What differs from the library's own worker."""

from __future__ import annotations

import inspect

import pytest
from livekit.agents import AgentServer
from livekit.protocol import agent
from voice_agent.worker import Worker

pytestmark = pytest.mark.unit


class Processes:
    """Nobody may ask for a job's process: the library does so to close it."""

    def get_by_job_id(self, job_id: str) -> None:
        raise AssertionError(job_id)


@pytest.mark.parametrize("kind", [Worker, AgentServer])
async def test_a_job_is_not_cut_because_livekit_lost_its_connection(kind: type[AgentServer]) -> None:
    """The library does cut it: this also fails when it no longer does so where we step in."""
    worker = kind.__new__(kind)
    worker._proc_pool = Processes()  # type: ignore[assignment]
    ended = worker._handle_termination(agent.JobTermination(job_id="AJ_1"))
    if kind is Worker:
        await ended
    else:
        with pytest.raises(AssertionError, match="AJ_1"):
            await ended


def test_the_library_still_asks_the_method_that_we_replace() -> None:
    assert "self._handle_termination(" in inspect.getsource(AgentServer)
