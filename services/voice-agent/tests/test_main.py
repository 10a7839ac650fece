"""What the composition root decides by itself."""

from __future__ import annotations

import pytest
from switchboard.settings import HttpSettings
from voice_agent.main import patient
from voice_agent.settings import Settings, WorkerSettings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("drain_timeout", "at_least"), [(960, 961), (5, 20)])
def test_a_stopping_process_waits_for_its_calls_as_long_as_its_worker_does(drain_timeout: int, at_least: int) -> None:
    settings = Settings.model_construct(
        http=HttpSettings.model_validate({"port": 0, "host": "127.0.0.1"}),
        worker=WorkerSettings.model_validate({"drain_timeout_s": drain_timeout, "state": "."}),
    )
    assert patient(settings).http.drain_grace_s >= at_least
