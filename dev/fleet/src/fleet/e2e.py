"""pytest plugin of the end-to-end suite: one whole fleet for the session, clinics as many as the tests want."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from switchboard.http import client

from fleet.api import SwitchboardApi
from fleet.call import Phone
from fleet.caller import Caller, PhoneLine, phone
from fleet.draw import Clinic, draw_clinic
from fleet.hosted import HostedSupervisor
from fleet.layout import Layout, lay_out
from fleet.onboarding import Onboarded, onboard
from fleet.ports import PortPool
from fleet.services import all_specs
from fleet.view import View


@dataclass
class RunningFleet:
    """A whole fleet that answers calls."""

    layout: Layout
    host: HostedSupervisor
    ports: PortPool
    view: View
    folder: Path
    calls: int = 0

    def place(self) -> Phone:
        """A folder of its own for each phone."""
        self.calls += 1
        sip = self.layout.sip
        return Phone(self.folder / f"phone-{self.calls}", sip.host, sip.port, self.ports)

    @asynccontextmanager
    async def clinic(self, seed: int, *, number: str | None = None) -> AsyncIterator[tuple[SwitchboardApi, Clinic]]:
        """A clinic that has gone live as a customer would, and its owner's API."""
        clinic = draw_clinic(seed)
        clinic = replace(clinic, number=number or free_number(seed))
        async with SwitchboardApi.open(self.layout.api_url) as api:
            made: Onboarded = await onboard(api, clinic, self.view.line)
        async with SwitchboardApi.open(self.layout.api_url, made.api_key) as api:
            yield api, clinic

    @asynccontextmanager
    async def phone(self, caller_number: str = "+15557777777") -> AsyncIterator[tuple[Caller, Phone]]:
        place = self.place()
        async with phone(place.folder, place.ports, PhoneLine(caller_number)) as caller:
            yield caller, place

    async def operators(self, service: str, path: str) -> list[dict[str, Any]]:
        """One list of a service's operators' pages."""
        url = f"http://127.0.0.1:{self.layout.http_ports[service]}"
        async with client(base_url=url) as http:
            reply = await http.get(path, headers={"authorization": f"Bearer {self.layout.secrets.operators}"})
            reply.raise_for_status()
            found: list[dict[str, Any]] = reply.json()
            return found


def free_number(seed: int) -> str:
    """Numbers of one fleet must differ; the test's seed makes them."""
    return f"+1555{random.Random(seed).randrange(1_000_000, 9_999_999)}"


@pytest.fixture(scope="session")
def running_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """Every process of the fleet, on free ports, in pytest's temporary folder."""
    folder = tmp_path_factory.mktemp("fleet")
    host = HostedSupervisor(folder)
    try:
        with PortPool() as ports:
            layout = lay_out(folder, ports)
            host.start(*all_specs(layout))
            yield RunningFleet(layout, host, ports, View(Console(width=160)), folder)
    finally:
        host.close()
