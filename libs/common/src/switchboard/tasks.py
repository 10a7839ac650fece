"""Ending asyncio tasks for sure."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_SECONDS = 2.0
"""How long a task may take to clean up before it is cancelled once more."""


def asked_to_end() -> bool:
    """Whether the current task was cancelled, even if it never noticed. For loops without an end, above all in a task group,
    which cancels its tasks once and then waits for them whatever is asked of it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel ``tasks`` and return when they have ended, however they did. The task that asks is not waited for.

    Once is not always enough: ``asyncio.wait_for`` of Python 3.11, which nats-py waits with, swallows a cancellation that
    meets the end of what it waits for, and the task goes on as if nothing had been asked of it.
    """
    current = asyncio.current_task()
    left = {task for task in tasks if task is not None and task is not current and not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
