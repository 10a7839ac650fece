"""What a process of the fleet is, and one that runs.

A process gets its own session (a Ctrl-C in the terminal reaches the supervisor only, which then stops things in
order), dies with its supervisor through the kernel's parent-death signal, and writes both its streams to one log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

Probe = Callable[[], Awaitable[None]]
"""Returns when the process can do its work, raises (any exception, with a reason) when it can't yet."""

TAIL_LINES = 20


class FleetError(Exception):
    """Anything that stops the fleet from running; the message is meant for a terminal."""


class ProcessDied(FleetError):
    """A process ended without being asked to; carries the last lines of its log."""

    def __init__(self, name: str, returncode: int, log: Path) -> None:
        self.name, self.returncode, self.log = name, returncode, log
        super().__init__(f"{name} ended with {describe_exit(returncode)}; the end of {log}:\n{tail(log)}")


class NotReady(FleetError):
    """A process runs but didn't answer its readiness probe in time."""

    def __init__(self, name: str, seconds: float, reason: str, log: Path) -> None:
        self.name = name
        super().__init__(f"{name} was not ready after {seconds:g} s ({reason}); the end of {log}:\n{tail(log)}")


@dataclass(frozen=True)
class ContainerSpec:
    """The same server in a container. `image` is a name of `fleet.containers.OFFICIAL`; `folder` is seen by it under its own
    path; an empty `entrypoint` leaves the image's own. `as_caller`: under our user and group, so that its files are ours.
    """

    image: str
    folder: Path
    command: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    as_caller: bool = True
    prepare: Callable[[], None] | None = None
    """Instead of the process's own."""


@dataclass(frozen=True)
class ProcessSpec:
    """One process: how to start it, when it is ready, how it ends.

    `env` is added to `base_environment()`. `after` names processes that must be ready (or, for a one-shot, have
    ended with 0) before this one starts. `prepare` runs in a thread before each start, for folders
    and configuration files.
    A one-shot is a step such as a migration: ready means that it ended with exit code 0.
    `death_signal` is what the kernel sends when the supervisor itself is gone.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Probe | None = None
    ready_timeout: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace: float = 10.0
    after: tuple[str, ...] = ()
    prepare: Callable[[], None] | None = None
    oneshot: bool = False
    sets_death_signal: bool = False
    """The argv sets the parent-death signal itself (it changes user first, which clears the signal)."""
    container: ContainerSpec | None = None
    """For servers: how it runs where containers are wanted (`Supervisor(containers=True)`)."""


def base_environment() -> dict[str, str]:
    """The supervisor's environment without other Switchboard settings, so that a fleet is what its specs say."""
    ours = ("SWITCHBOARD_", "OTEL_", "LIVEKIT_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    # Since 1.29 onnxruntime reports to its maker unless told not to, and leaves a device id in the home folder.
    return kept | {"ORT_DISABLE_TELEMETRY": "1"}


def describe_exit(returncode: int) -> str:
    """`-9` -> `signal SIGKILL`, `3` -> `exit code 3`."""
    if returncode < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-returncode).name}"
    return f"exit code {returncode}"


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented; a note when there are none."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 64 * 1024))
            text = stream.read().decode("utf-8", "replace")
    except OSError as error:
        return f"    (no log: {error})"
    last = text.splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) or "    (the log is empty)"


class Running(ABC):
    """A started process or container. `exited` resolves with its return code, whoever ended it."""

    spec: ProcessSpec
    log: Path
    stopping: bool
    ready: bool
    exited: asyncio.Future[int]
    pid: int

    @abstractmethod
    def signal(self, number: int) -> None:
        """Sends a signal to it alone; nothing when it has ended."""

    @abstractmethod
    def kill(self) -> None:
        """kill -9 for it and what it started; nothing when it has ended."""

    async def stop(self) -> int:
        """Asks it to end, waits for its grace, then kills it. Returns its code."""
        self.stopping = True
        self.signal(self.spec.stop_signal)
        try:
            await asyncio.wait_for(asyncio.shield(self.exited), self.spec.grace)
        except TimeoutError:
            self.signal(signal.SIGKILL)
        return await self.exited


class RunningProcess(Running):
    """A started process."""

    def __init__(self, spec: ProcessSpec, log: Path) -> None:
        self.spec, self.log = spec, log
        self.stopping = False
        self.ready = False
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._popen = self._spawn()
        self.pid = self._popen.pid
        # A pidfd instead of asyncio's child watcher: no thread per child, and it works on any loop in any thread.
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._on_exit)

    def _spawn(self) -> subprocess.Popen[bytes]:
        spec = self.spec
        argv = list(spec.argv)
        if not spec.sets_death_signal:
            argv = ["setpriv", "--pdeathsig", spec.death_signal.name.removeprefix("SIG"), "--", *argv]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env={**base_environment(), **spec.env},
                cwd=spec.cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise FleetError(f"{spec.name} can't be started: {argv[0]}: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        returncode = self._popen.wait()
        if not self.exited.done():
            self.exited.set_result(returncode)

    def signal(self, number: int) -> None:
        """Sends a signal to this process only; nothing when it has ended."""
        if not self.exited.done():
            self._popen.send_signal(number)

    def kill(self) -> None:
        if not self.exited.done():
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(self) -> int:
        """As every stop; kills what is left of its session as well."""
        code = await super().stop()
        kill_leftovers(self.pid)
        return code


def kill_leftovers(group: int) -> None:
    """Kills what an ended process left behind in its own process group.

    Only when the leader is gone: while the group has members the kernel doesn't reuse its number, so then they are
    surely ours; a live process of that number started later and is somebody else's.
    """
    if Path(f"/proc/{group}").exists():
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
