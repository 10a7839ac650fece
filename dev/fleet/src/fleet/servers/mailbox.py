"""The dev mailbox as one more server of the fleet."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from switchboard.http import client

from fleet.ports import PortPool
from fleet.probes import http_ok
from fleet.process import FleetError, ProcessSpec

NAME = "mailbox"
MAIL_WITHIN = 30.0


@dataclass(frozen=True)
class MailboxServer:
    """Where mail goes and where it is shown."""

    smtp_port: int
    http_port: int

    @classmethod
    def lay_out(cls, ports: PortPool) -> MailboxServer:
        return cls(ports.one(), ports.one())

    @property
    def smtp_url(self) -> str:
        return f"smtp://127.0.0.1:{self.smtp_port}"

    @property
    def url(self) -> str:
        """Of its page."""
        return f"http://127.0.0.1:{self.http_port}"

    async def link_to(self, address: str) -> str:
        """What stands behind the # of the link in the newest mail to that address; waits for one."""
        async with client(base_url=self.url, timeout_s=MAIL_WITHIN + 5) as http:
            query: dict[str, str | float] = {"to": address, "wait_s": MAIL_WITHIN}
            messages = (await http.get("/messages", params=query)).raise_for_status().json()["messages"]
        links = [link for message in messages for link in message["links"] if "#" in link]
        if not links:
            raise FleetError(f"no mail with a link came to {address} within {MAIL_WITHIN:.0f} s")
        return str(links[-1].partition("#")[2])

    @property
    def spec(self) -> ProcessSpec:
        """The process; it needs no other."""
        ports = ("--smtp-port", str(self.smtp_port), "--http-port", str(self.http_port))
        return ProcessSpec(
            name=NAME,
            argv=(sys.executable, "-m", "fleet.mailbox", *ports),
            env={},
            ready=http_ok(f"{self.url}/health"),
            ready_timeout=60.0,
        )
