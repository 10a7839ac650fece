"""A service whose connection to the bus is closed for good ends, non-zero, so that whoever supervises it starts it again."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from fleet.files import write_private
from fleet.hosted import HostedSupervisor
from fleet.layout import SERVICES, Layout, lay_out
from fleet.proofs import PATIENCE_SECONDS
from fleet.prove import Tried
from fleet.services import all_specs

pytestmark = pytest.mark.integration

# The voice agent's own process speaks to LiveKit only; a call's process has the call, which goes on without the bus.
ON_THE_BUS = tuple(name for name in SERVICES if name != "voice-agent")
CHOSEN = tuple(os.environ.get("BUS_CLOSED_SERVICES", ",".join(ON_THE_BUS)).split(","))


def reload(host: HostedSupervisor, config: Path, text: str) -> None:
    """nats-server reads its configuration again; who may not be there any more is told so and cut off."""
    write_private(config, text)
    os.kill(host.supervisor.pid_of("nats"), signal.SIGHUP)


def with_other_passwords(layout: Layout, text: str) -> str:
    for name in CHOSEN:
        assert layout.secrets.nats[name] in text
        text = text.replace(layout.secrets.nats[name], "another-" + layout.secrets.nats[name])
    return text


async def code_of(host: HostedSupervisor, name: str) -> int | None:
    """``None``: it goes on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await host.aended(name)
    return None


async def test_a_closed_connection_ends_the_process_and_a_restart_mends_it(
    own_servers: HostedSupervisor, record_property: Tried
) -> None:
    """Every service as its own process. Its user's password changes while it is connected: the client gives a refused
    connection up, which no reconnecting mends. With the password of before the same processes start and are ready."""
    layout = lay_out(own_servers.folder, own_servers.ports)
    away = {*SERVICES, layout.sip.spec.name} - set(CHOSEN)
    await own_servers.astart(*(spec for spec in all_specs(layout) if spec.name not in away))
    config = layout.folder / "nats" / "nats.conf"
    text = await asyncio.to_thread(config.read_text)

    reload(own_servers, config, with_other_passwords(layout, text))
    codes = await asyncio.gather(*(code_of(own_servers, name) for name in CHOSEN))
    wrong = {name: code for name, code in zip(CHOSEN, codes, strict=True) if code != 1}
    assert not wrong, f"these did not end with 1: {wrong}"
    record_property("services", len(codes))

    reload(own_servers, config, text)
    await asyncio.gather(*(own_servers.arevive(name) for name in CHOSEN))
