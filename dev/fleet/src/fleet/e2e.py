"""pytest plugin of the end-to-end suite: one whole fleet for the session, clinics as many as the tests want."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console
from switchboard.http import client

from fleet.api import SwitchboardApi
from fleet.api_models import Account
from fleet.call import CallOutcome, Phone, judged_call
from fleet.caller import Caller, PhoneLine, phone
from fleet.draw import Clinic, draw_clinic
from fleet.faults.line import Line
from fleet.faults.voice import VoiceFaults
from fleet.hosted import HostedSupervisor
from fleet.judge import Judge
from fleet.layout import DATABASE, SERVICES, Layout, lay_out
from fleet.onboarding import Onboarded, onboard
from fleet.ports import PortPool
from fleet.process import FleetError
from fleet.prove import Tried
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
    voice: VoiceFaults
    onboarded: dict[tuple[str, int], Onboarded] = field(default_factory=dict)
    """By the file of tests and the clinic's seed: what one file does to a clinic (pausing it, say) meets no other."""
    calls: int = 0

    def place(self, line: Line | None = None) -> Phone:
        """A folder of its own for each phone; `line` is the way to the SIP bridge when it isn't the plain one."""
        self.calls += 1
        sip = self.layout.sip
        return Phone(self.folder / f"phone-{self.calls}", sip.host, line.port if line else sip.port, self.ports)

    @property
    def database(self) -> str:
        """The superuser's DSN: for faults only, never for looking at what a test is about."""
        return self.layout.postgres.dsn(DATABASE)

    @asynccontextmanager
    async def clinic(
        self,
        seed: int,
        *,
        number: str | None = None,
        drawn: Clinic | None = None,
        providers: dict[str, Any] | None = None,
    ) -> AsyncIterator[tuple[SwitchboardApi, Clinic]]:
        """A clinic (that of the seed unless another is given) that has gone live as a customer would, and its API.

        `providers`: the chains that it chooses.
        """
        clinic = drawn or draw_clinic(seed)
        file = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
        key = (file, clinic.seed)
        clinic = replace(clinic, number=number or free_number(f"{file} {clinic.seed}"))
        if key not in self.onboarded:
            self.onboarded[key] = await onboard(self.layout, clinic, self.view.line, providers)
        async with SwitchboardApi.open(self.layout.api_url, self.onboarded[key].api_key) as api:
            yield api, clinic

    def account(self, clinic: Clinic) -> Account:
        """The owner of a clinic that `clinic` gave."""
        return next(one.account for one in self.onboarded.values() if one.number == clinic.number)

    async def good_call(
        self, api: SwitchboardApi, clinic: Clinic, judge: Judge, line: Line | None = None
    ) -> CallOutcome:
        """The demo's call without a complaint; when the ear had a bad one, the caller calls again, once.

        A wrong answer is never a bad call.
        """
        try:
            first = await judged_call(api, clinic, self.place(line), judge, self.view)
        except FleetError as error:
            self.view.line(f"first call: {error}")
        else:
            if first.complaints() == []:
                return first
            said = " ".join(turn.agent_said for turn in first.record.turns) if first.record else ""
            others = {
                f"{t.name} costs {u.price} dollars" for t in clinic.treatments for u in clinic.treatments if t != u
            }
            assert not [wrong for wrong in others if wrong in said]
            self.view.line(f"first call: {first.complaints()}")
        second = await judged_call(api, clinic, self.place(line), judge, self.view)
        assert second.complaints() == []
        return second

    @asynccontextmanager
    async def phone(self, caller_number: str = "+15557777777") -> AsyncIterator[tuple[Caller, Phone]]:
        place = self.place()
        async with phone(place.folder, place.ports, PhoneLine(caller_number)) as caller:
            yield caller, place

    async def operators(self, service: str, path: str) -> list[dict[str, Any]]:
        """One list of a service's operators' pages."""
        found: list[dict[str, Any]] = await self._operators("GET", service, path)
        return found

    async def operate(self, service: str, path: str) -> dict[str, Any]:
        """What an operator does there."""
        done: dict[str, Any] = await self._operators("POST", service, path)
        return done

    async def _operators(self, method: str, service: str, path: str) -> Any:
        async with client(base_url=self.layout.url(service)) as http:
            headers = {"authorization": f"Bearer {self.layout.secrets.operators}"}
            return (await http.request(method, path, headers=headers)).raise_for_status().json()


def free_number(seed: str) -> str:
    """Numbers of one fleet must differ; the test's file and the clinic's seed make them."""
    return f"+1555{random.Random(seed).randrange(1_000_000, 9_999_999)}"


@pytest.fixture(scope="session")
def running_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """Every process of the fleet, on free ports, in pytest's temporary folder."""
    with whole_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="session")
def two_of_everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """A fleet of its own in which every service runs in two copies; for the modules that come last."""
    with whole_fleet(tmp_path_factory.mktemp("two"), copies=dict.fromkeys(SERVICES, 2)) as fleet:
        yield fleet


class Killing:
    """Kills a copy; it is back when the test is over, as its supervisor would have it."""

    def __init__(self, fleet: RunningFleet, tried: Tried) -> None:
        self._fleet = fleet
        self._tried = tried
        self._dead: list[str] = []

    async def kill(self, copy: str) -> None:
        await self._fleet.host.akill(copy)
        self._tried("kills", 1)
        self._dead.append(copy)

    async def revive(self) -> None:
        while self._dead:
            await self._fleet.host.arevive(self._dead.pop())


@pytest_asyncio.fixture
async def killing(two_of_everything: RunningFleet, record_property: Tried) -> AsyncIterator[Killing]:
    made = Killing(two_of_everything, record_property)
    yield made
    await made.revive()


@contextmanager
def whole_fleet(folder: Path, copies: Mapping[str, int] | None = None) -> Iterator[RunningFleet]:
    """Started, and stopped with the block."""
    host = HostedSupervisor(folder)
    try:
        with PortPool() as ports:
            voice = VoiceFaults(folder / "faults")
            # With the stand-ins of providers: a clinic that chooses none never meets them.
            layout = lay_out(folder, ports, voice.programs, emulated=True, copies=copies)
            host.start(*all_specs(layout))
            yield RunningFleet(layout, host, ports, View(Console(width=160)), folder, voice)
    finally:
        host.close()
