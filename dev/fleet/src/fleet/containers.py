"""Servers as containers, through testcontainers: ``INFRA=containers`` for the integration suite.

A container takes the place of a process under the supervisor and shares with the machine what the process would have: its
network, its process ids, and its own folder under the same path. Tests therefore can't tell the two apart.

Images are the official ones, or those that ``dev/containers/build.sh`` made (``CONTAINER_IMAGES=local``); each can be named:
``POSTGRES_IMAGE``, ``NATS_IMAGE``, ``REDIS_IMAGE``, ``LIVEKIT_IMAGE``. docker and testcontainers belong to the tests and are
imported only here, when a container is wanted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.process import ContainerSpec, FleetError, ProcessSpec, Running

if TYPE_CHECKING:
    from docker.models.containers import Container

OFFICIAL = {
    "postgres": "pgvector/pgvector:pg18",
    "nats": "nats:2.12",
    "redis": "redis:7",
    "livekit": "livekit/livekit-server:v1.13.5",
}
LOCAL = "switchboard-test/{name}:latest"
LABEL = "switchboard.owner"
_BY_SIGNAL = 128


def wanted() -> bool:
    """Whether servers are to run as containers."""
    return os.environ.get("INFRA") == "containers"


def image(name: str) -> str:
    """The image of ``name``, one of :data:`OFFICIAL`."""
    local = os.environ.get("CONTAINER_IMAGES") == "local"
    return os.environ.get(f"{name.upper()}_IMAGE") or (LOCAL.format(name=name) if local else OFFICIAL[name])


def silence() -> str | None:
    """Why no engine can be used; ``None`` when one answers."""
    import docker
    from docker.errors import DockerException

    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    path = host.removeprefix("unix://")
    try:
        if path != host:
            # The client leaves its socket open when it can't be connected.
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.connect(path)
        client = docker.from_env(timeout=5)
        client.ping()
        client.close()
    except (OSError, DockerException) as error:
        return f"{host}: {getattr(error, 'strerror', None) or error}"
    return None


@dataclass(frozen=True)
class Ran:
    """A container that ran: for the end of the log."""

    server: str
    image: str
    id: str
    pid: int


RAN: list[Ran] = []


class RunningContainer(Running):
    """A started container; its code is what its process would have returned."""

    def __init__(self, spec: ProcessSpec, log: Path, container: Container) -> None:
        self.spec, self.log = spec, log
        self.stopping = False
        self.ready = False
        self._container = container
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.pid = int(container.attrs["State"]["Pid"])
        log.parent.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._follow, name=f"container-{spec.name}", daemon=True).start()

    @classmethod
    async def launch(cls, spec: ProcessSpec, boxed: ContainerSpec, log: Path) -> RunningContainer:
        container = await asyncio.to_thread(_start, boxed)
        running = cls(spec, log, container)
        RAN.append(Ran(spec.name, image(boxed.image), str(container.short_id), running.pid))
        return running

    def _follow(self) -> None:
        """Its output into the log until it ends, then its exit code; in a thread, as the client blocks."""
        with self.log.open("ab") as stream:
            for chunk in self._container.logs(stream=True, follow=True):
                stream.write(chunk)
                stream.flush()
        status = int(self._container.wait()["StatusCode"])
        self._container.remove(v=True)
        code = _BY_SIGNAL - status if status > _BY_SIGNAL else status
        self._loop.call_soon_threadsafe(self._end, code)

    def _end(self, code: int) -> None:
        if not self.exited.done():
            self.exited.set_result(code)

    def signal(self, number: int) -> None:
        from docker.errors import APIError

        if self.exited.done():
            return
        try:
            self._container.kill(signal.Signals(number).name)
        except APIError as error:
            # 404 and 409: it ended in this moment.
            if error.status_code not in (404, 409):
                raise

    def kill(self) -> None:
        """kill -9 for its first process, with which the others of its container end."""
        self.signal(signal.SIGKILL)


def _start(boxed: ContainerSpec) -> Container:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    # Its reaper is one more image, and a privileged container; ours are removed by us, and by the next run's `sweep`.
    testcontainers_config.ryuk_disabled = True
    boxed.folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"network_mode": "host", "pid_mode": "host", "labels": {LABEL: _owner(os.getpid())}}
    if boxed.entrypoint:
        settings["entrypoint"] = list(boxed.entrypoint)
    if boxed.as_caller:
        settings["user"] = f"{os.geteuid()}:{os.getegid()}"
    made = DockerContainer(image(boxed.image)).with_command(list(boxed.command)).with_kwargs(**settings)
    made = made.with_volume_mapping(str(boxed.folder), str(boxed.folder), "rw")
    for key, value in boxed.env.items():
        made = made.with_env(key, value)
    container = made.start().get_wrapped_container()
    container.reload()
    return container


def _owner(pid: int) -> str:
    """A process and when it started: a pid alone may be somebody else's by now."""
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid}.{started}"


def sweep() -> None:
    """Removes what a run left behind that was killed; containers of runs that go on stay."""
    import docker

    client = docker.from_env(timeout=30)
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        pid = container.labels[LABEL].partition(".")[0]
        alive = Path(f"/proc/{pid}/stat").exists() and _owner(int(pid)) == container.labels[LABEL]
        if not alive:
            container.remove(force=True, v=True)
    client.close()


def obtainable() -> str | None:
    """Which images the engine has or can pull: ``official``, ``local`` or ``None``."""
    import docker
    from docker.errors import DockerException

    client = docker.from_env(timeout=300)

    def has(reference: str, pull: bool) -> bool:
        try:
            client.images.get(reference)
        except DockerException:
            try:
                return pull and bool(client.images.pull(reference))
            except DockerException:
                return False
        return True

    try:
        if all(has(reference, pull=True) for reference in OFFICIAL.values()):
            return "official"
        return "local" if all(has(LOCAL.format(name=name), pull=False) for name in OFFICIAL) else None
    finally:
        client.close()


def fill(context: Path) -> None:
    """Puts the programs of the images that are built here into a build context."""
    from fleet.servers import livekit, nats, postgres

    shutil.copy(nats.binary(), context / "nats-server")
    shutil.copy(livekit.livekit_binary(), context / "livekit-server")
    # PostgreSQL's programs find their libraries beside the package.
    programs = postgres.binaries().parent
    package = programs.parent
    target = context / "postgresql"
    shutil.copytree(programs, target / package.name / programs.name, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), target / f"{package.name}.libs", symlinks=True)
    (target / "bin").symlink_to(f"{package.name}/{programs.name}/bin")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fleet.containers")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("engine", help="says whether an engine answers")
    commands.add_parser("images", help="prints which images there are: official or local")
    commands.add_parser("context", help="fills a build context").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "context":
        fill(arguments.folder)
    elif arguments.command == "images":
        kind = obtainable()
        print(kind or "none")
        return 0 if kind else 1
    else:
        reason = silence()
        print(f"no container engine answers ({reason})" if reason else "a container engine answers")
        return 1 if reason else 0
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FleetError as error:
        sys.exit(str(error))
