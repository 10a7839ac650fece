"""Servers for tests that live longer than one test's event loop.

The supervisor runs on a loop of its own in one thread (the kernel's parent-death signal follows the thread that
started a child, so that thread stays until the end).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from fleet import containers
from fleet.ports import PortPool
from fleet.process import ProcessSpec
from fleet.supervisor import Supervisor

T = TypeVar("T")


class HostedSupervisor:
    """A supervisor in a thread. The plain methods block; from a coroutine use the `a...` ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = PortPool()
        self.supervisor = Supervisor(folder / "logs", containers=containers.wanted())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleet-supervisor", daemon=True)
        self._thread.start()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _run_from_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def start(self, *specs: ProcessSpec) -> None:
        """Starts and waits until ready."""
        self._run(self.supervisor.start(*specs))

    async def astart(self, *specs: ProcessSpec) -> None:
        await self._run_from_loop(self.supervisor.start(*specs))

    async def akill(self, name: str) -> None:
        """kill -9 for it and what it started, and waits for its end."""
        await self._run_from_loop(self.supervisor.kill(name))

    async def astop(self, name: str) -> int:
        """Stops in good order; its exit code."""
        return await self._run_from_loop(self.supervisor.stop(name))

    async def aended(self, name: str) -> int:
        """Waits until it has ended by itself; its exit code."""
        return await self._run_from_loop(self.supervisor.ended(name))

    async def arevive(self, name: str) -> None:
        """Starts it again after `akill` or `astop`, waits until ready."""
        await self._run_from_loop(self.supervisor.revive(name))

    def close(self) -> None:
        """Stops everything and ends the thread."""
        try:
            self._run(self.supervisor.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self.ports.close()
