"""Starts processes in the order they need each other, watches them, and stops them in reverse.

Everything waits on a probe with a deadline or on a process's end, never on a fixed time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from fleet.containers import RunningContainer
from fleet.process import FleetError, NotReady, ProcessDied, ProcessSpec, Running, RunningProcess

T = TypeVar("T")
PROBE_INTERVAL = 0.05


@dataclass(frozen=True)
class Event:
    """Something a terminal may show: `what` is starting, ready, done (one-shot), stopping, stopped or died."""

    name: str
    what: str
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class ProcessStatus:
    """One row of `status`: state is waiting, starting, ready, done, stopped or died."""

    name: str
    state: str
    pid: int | None
    log: Path


class Supervisor:
    """A set of processes, one log file each under `log_folder`.

    Use as an async context manager: leaving it stops everything, in the reverse of the order of starting. With `containers`
    what can run in a container does.
    """

    def __init__(
        self, log_folder: Path, on_event: Callable[[Event], None] | None = None, containers: bool = False
    ) -> None:
        self.log_folder = log_folder
        self._containers = containers
        self._listener = on_event
        self._specs: dict[str, ProcessSpec] = {}
        self._running: dict[str, Running] = {}
        self._started: list[str] = []
        self._ready: dict[str, asyncio.Event] = {}
        self._death: asyncio.Future[ProcessDied] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _on_event(self, event: Event) -> None:
        if self._listener is not None:
            self._listener(event)

    def log_of(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"

    def pid_of(self, name: str) -> int:
        """The pid of a running process. KeyError when it was never started."""
        return self._running[name].pid

    def status(self) -> list[ProcessStatus]:
        return [
            ProcessStatus(
                name,
                self._state(name),
                process.pid if (process := self._running.get(name)) else None,
                self.log_of(name),
            )
            for name in self._specs
        ]

    def _state(self, name: str) -> str:
        process = self._running.get(name)
        if process is None:
            return "waiting"
        if not process.exited.done():
            return "ready" if process.ready else "starting"
        if process.spec.oneshot and process.exited.result() == 0:
            return "done"
        return "stopped" if process.stopping else "died"

    async def start(self, *specs: ProcessSpec) -> None:
        """Starts these, each as soon as what it names in `after` is ready, side by side where nothing orders them.

        Raises ProcessDied or NotReady for the first that fails; the others are left as they are for `close`.
        """
        check_order([*self._specs.values(), *specs])
        for spec in specs:
            if spec.name in self._running and not self._running[spec.name].exited.done():
                raise FleetError(f"{spec.name} already runs")
            self._specs[spec.name] = spec
        pending = {spec.name: spec for spec in specs}
        gates = {name: asyncio.get_running_loop().create_future() for name in pending}
        # A failing process cancels the others' waiting; the group's error is unwrapped to the one that says why.
        try:
            async with asyncio.TaskGroup() as group:
                for spec in specs:
                    group.create_task(self._start_when_allowed(spec, gates))
        except BaseExceptionGroup as errors:
            raise first_reason(errors) from None

    async def _start_when_allowed(self, spec: ProcessSpec, gates: dict[str, asyncio.Future[None]]) -> None:
        for name in spec.after:
            if name in gates:
                await asyncio.shield(gates[name])
        await self._start_one(spec)
        gates[spec.name].set_result(None)

    async def until_ready(self, *names: str) -> None:
        """Waits until all of these have been ready once; when one fails, it is `start` that raises."""
        for name in names:
            await self._ready.setdefault(name, asyncio.Event()).wait()

    async def _start_one(self, spec: ProcessSpec) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        self._on_event(Event(spec.name, "starting"))
        process = await self._launch(spec)
        self._running[spec.name] = process
        with suppress(ValueError):
            self._started.remove(spec.name)
        self._started.append(spec.name)
        if spec.oneshot:
            await self._wait_for_end(process)
            self._ready.setdefault(spec.name, asyncio.Event()).set()
            self._on_event(Event(spec.name, "done", clock() - began))
            return
        process.exited.add_done_callback(lambda future: self._on_end(process, future))
        await self._wait_until_ready(process)
        process.ready = True
        self._ready.setdefault(spec.name, asyncio.Event()).set()
        self._on_event(Event(spec.name, "ready", clock() - began))

    async def _launch(self, spec: ProcessSpec) -> Running:
        boxed = spec.container if self._containers else None
        prepare = spec.prepare if boxed is None else boxed.prepare
        if prepare is not None:
            await asyncio.to_thread(prepare)
        if boxed is None:
            return RunningProcess(spec, self.log_of(spec.name))
        return await RunningContainer.launch(spec, boxed, self.log_of(spec.name))

    async def _wait_for_end(self, process: Running) -> None:
        spec = process.spec
        try:
            code = await asyncio.wait_for(asyncio.shield(process.exited), spec.ready_timeout)
        except TimeoutError:
            await process.stop()
            raise NotReady(spec.name, spec.ready_timeout, "it had not ended", process.log) from None
        if code != 0:
            raise ProcessDied(spec.name, code, process.log)

    async def _wait_until_ready(self, process: Running) -> None:
        spec = process.spec
        if spec.ready is None:
            return
        clock = asyncio.get_running_loop().time
        deadline = clock() + spec.ready_timeout
        reason = "no answer"
        while True:
            if process.exited.done():
                raise ProcessDied(spec.name, process.exited.result(), process.log)
            try:
                await spec.ready()
                return
            except Exception as error:
                reason = str(error) or type(error).__name__
            if clock() >= deadline:
                raise NotReady(spec.name, spec.ready_timeout, reason, process.log)
            # Between two probes, or less when it dies.
            await asyncio.wait([process.exited], timeout=PROBE_INTERVAL)

    def _on_end(self, process: Running, future: asyncio.Future[int]) -> None:
        if process.stopping:
            return
        died = ProcessDied(process.spec.name, future.result(), process.log)
        self._on_event(Event(process.spec.name, "died", detail=str(died)))
        if self._death is not None and not self._death.done():
            self._death.set_result(died)

    def check(self) -> None:
        """Raises ProcessDied when a process has ended without being asked to."""
        for name, process in self._running.items():
            if self._state(name) == "died":
                raise ProcessDied(name, process.exited.result(), process.log)

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work`; when a process dies meanwhile, cancels it and raises ProcessDied instead."""
        task = asyncio.ensure_future(work)
        death: asyncio.Future[ProcessDied] = asyncio.get_running_loop().create_future()
        self._death = death
        try:
            self.check()
            waiting: list[asyncio.Future[Any]] = [task, death]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise death.result()
            return await task
        finally:
            self._death = None
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def stop(self, name: str) -> int:
        """Stops one process in good order and returns its exit code."""
        self._on_event(Event(name, "stopping"))
        code = await self._running[name].stop()
        self._on_event(Event(name, "stopped"))
        return code

    async def ended(self, name: str) -> int:
        """Waits until a process has ended, by itself or not; its exit code."""
        return await asyncio.shield(self._running[name].exited)

    async def kill(self, name: str) -> None:
        """kill -9 on purpose (it doesn't count as died), with all that it started, as the end of its container would.

        Waits for the end; `revive` starts it again.
        """
        process = self._running[name]
        process.stopping = True
        process.kill()
        await process.exited

    async def revive(self, name: str) -> None:
        """Starts a stopped, killed or dead process again, from the same spec, and waits until it is ready."""
        process = self._running.get(name)
        if process is not None and not process.exited.done():
            raise FleetError(f"{name} still runs; stop it first")
        await self._start_one(self._specs[name])

    async def close(self) -> None:
        """Stops everything, each as soon as nobody who needs it runs any more."""
        left = set(self._started)
        while left:
            needed = {name for other in left for name in self._specs[other].after}
            free = left - needed
            await asyncio.gather(*(self._close_one(name) for name in free))
            left -= free

    async def _close_one(self, name: str) -> None:
        process = self._running[name]
        if process.exited.done():
            process.stopping = True
            await process.stop()
        else:
            await self.stop(name)


def check_order(specs: Iterable[ProcessSpec]) -> None:
    """Refuses names that nobody has and circles, before anything is started."""
    after = {spec.name: spec.after for spec in specs}
    for name, needed in after.items():
        for other in needed:
            if other not in after:
                raise FleetError(f"{name} waits for {other}, which is not in the fleet")
    done: set[str] = set()
    while len(done) < len(after):
        free = {name for name, needed in after.items() if name not in done and done.issuperset(needed)}
        if not free:
            raise FleetError(f"these wait for each other: {', '.join(sorted(after.keys() - done))}")
        done |= free


def first_reason(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that is not a cancellation."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            return first_reason(error)
        if not isinstance(error, asyncio.CancelledError):
            return error
    return errors.exceptions[0]
