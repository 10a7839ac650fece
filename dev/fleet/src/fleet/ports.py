"""Free ports on 127.0.0.1 that two fleets on one machine never share.

A port is taken from below the kernel's ephemeral range (so no outgoing connection grabs it between our choice and the
server's bind) and reserved by an abstract unix socket named after it. Such a socket lives in the network namespace, as
ports do, leaves no file, and vanishes with its process: a crashed run holds nothing.
"""

from __future__ import annotations

import random
import socket
from types import TracebackType
from typing import Self

LOW, HIGH = 15_000, 32_000


class NoFreePort(Exception):
    """No port was free after many tries."""


class PortPool:
    """Reserves ports until `close`. Not thread-safe."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._held: dict[int, socket.socket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def one(self) -> int:
        """A port free for TCP and UDP."""
        return self.block(1)[0]

    def block(self, size: int) -> range:
        """`size` ports in a row, the first of them even (RTP's convention)."""
        for _ in range(400):
            first = self._rng.randrange(LOW, HIGH - size, 2)
            ports = range(first, first + size)
            taken: list[int] = []
            for port in ports:
                if not self._reserve(port):
                    break
                taken.append(port)
            else:
                return ports
            for port in taken:
                self._held.pop(port).close()
        raise NoFreePort(f"no {size} free ports in a row between {LOW} and {HIGH}")

    def _reserve(self, port: int) -> bool:
        if port in self._held:
            return False
        guard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            guard.bind(f"\0switchboard-port-{port}")
        except OSError:
            guard.close()
            return False
        if not free_now(port):
            guard.close()
            return False
        self._held[port] = guard
        return True

    def close(self) -> None:
        """Gives all ports back."""
        for guard in self._held.values():
            guard.close()
        self._held.clear()


def free_now(port: int) -> bool:
    """Whether TCP and UDP can be bound on every address at this moment (some servers bind more than loopback)."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as attempt:
            if kind == socket.SOCK_STREAM:
                # As servers do: a connection in TIME_WAIT is no reason against a port.
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind(("", port))
            except OSError:
                return False
    return True
