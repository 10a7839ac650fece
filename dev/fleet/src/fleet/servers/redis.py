"""Debian's redis-server, with a password and no snapshot file."""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fleet.files import find_program, write_private
from fleet.probes import redis_ping
from fleet.process import ContainerSpec, ProcessSpec


@dataclass(frozen=True)
class RedisServer:
    """A Redis on 127.0.0.1."""

    spec: ProcessSpec
    host: str
    port: int
    password: str

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password)}@{self.address}/0"


def make_redis(
    folder: Path, port: int, password: str, name: str = "redis-app", appendonly: bool = False
) -> RedisServer:
    """A server in `folder`. `appendonly` keeps every write: LiveKit's Redis is the only home of trunks and rules."""
    config = folder / "redis.conf"
    text = (
        f'bind 127.0.0.1\nport {port}\ndir "{folder}"\nrequirepass "{password}"\nsave ""\n'
        f'appendonly {"yes" if appendonly else "no"}\nappendfsync everysec\ndaemonize no\nlogfile ""\n'
    )
    prepare = functools.partial(write_private, config, text)
    spec = ProcessSpec(
        name=name,
        argv=(str(program(folder)), str(config)),
        ready=redis_ping("127.0.0.1", port, password),
        prepare=prepare,
        container=ContainerSpec(
            "redis",
            folder,
            (str(config),),
            # Past the image's entry point, which would change to a user who can't read the configuration.
            entrypoint=("redis-server",),
            prepare=prepare,
        ),
    )
    return RedisServer(spec, "127.0.0.1", port, password)


def program(folder: Path) -> Path:
    """redis-server, or a link of that name to redis-check-rdb.

    The two are one program that goes by its name. Debian's redis-tools has it under the second name only; the package
    with the first one would also start a daemon of its own.
    """
    found = shutil.which("redis-server")
    if found is not None:
        return Path(found)
    link = folder / "redis-server"
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(find_program("redis-check-rdb", "Debian package redis-tools"))
    return link
