"""`make demo`: the whole fleet, a clinic nobody has seen before, one real phone call, a verdict."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from pathlib import Path

from fleet.api import SwitchboardApi
from fleet.call import CallBroken, CallOutcome, Phone, agent_judge, judged_call
from fleet.draw import Clinic, draw_clinic
from fleet.emulated import CHAINS, complaints, parse
from fleet.files import FleetFiles
from fleet.layout import Layout, lay_out
from fleet.onboarding import AGENT_VOICE, Onboarded, onboard
from fleet.page import PAGE, Facts, chosen, write_page
from fleet.ports import PortPool
from fleet.services import all_specs
from fleet.speech import Synthesizer
from fleet.supervisor import Supervisor, first_reason
from fleet.view import View, terminal, turn_of

KEPT_RUNS = 3


def new_run_folder() -> Path:
    """A folder for this run below `var/demo`; of earlier runs the newest few stay, for their recordings and logs."""
    root = FleetFiles.var() / "demo"
    root.mkdir(exist_ok=True)
    finished = sorted(path for path in root.iterdir() if path.is_dir() and not running(path))
    for old in finished[: max(0, len(finished) - KEPT_RUNS + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder


def running(folder: Path) -> bool:
    """Whether the process that made this folder still lives."""
    return Path(f"/proc/{folder.name.rpartition('-')[2]}").exists()


async def run_demo(seed: int | None, providers: str | None = None) -> int:
    """0 when the caller heard right answers to everything, 1 when not. FleetError when it didn't come to that."""
    emulated = parse(providers)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    clinic = draw_clinic(seed)
    folder = new_run_folder()
    view = View(terminal())
    began = time.monotonic()
    view.line(f"seed {seed} (SEED={seed} repeats this clinic); files in {folder}")
    with PortPool() as ports:
        layout = lay_out(folder, ports, emulated=emulated)
        view.heading("Starting the fleet")
        async with Supervisor(layout.logs, view.process) as supervisor:
            made = await start_and_onboard(supervisor, layout, clinic, view)
            outcome = await supervisor.guard(call(layout, clinic, made, ports, view, began))
            unused = await providers_used(layout, outcome, view)
            view.heading("Stopping")
    return report(outcome, folder, view, unused)


async def start_and_onboard(supervisor: Supervisor, layout: Layout, clinic: Clinic, view: View) -> Onboarded:
    """Starts everything; the clinic comes in while the voice agent, which takes longest, is still warming up."""
    specs = all_specs(layout)

    async def come_in() -> Onboarded:
        await supervisor.until_ready(*(spec.name for spec in specs if spec.name != "voice-agent"))
        view.heading(f"Onboarding {clinic.name} through {layout.api_url}")
        if layout.emulated is not None:
            await layout.emulated.teach(clinic)
        chains = CHAINS if layout.emulated is not None else None
        return await onboard(layout, clinic, lambda text: view.line(f"  {text}"), chains)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.start(*specs))
            made = group.create_task(come_in())
    except BaseExceptionGroup as errors:
        raise first_reason(errors) from None
    return made.result()


async def call(
    layout: Layout, clinic: Clinic, made: Onboarded, ports: PortPool, view: View, began: float
) -> CallOutcome:
    """The call, and what is known about it afterwards."""
    async with SwitchboardApi.open(layout.api_url, made.api_key) as api:
        judge = await asyncio.to_thread(agent_judge, Synthesizer(layout.folder / "speech-judge"), AGENT_VOICE)
        sip = layout.sip
        view.heading(f"Calling, over {sip.software}, {time.monotonic() - began:.0f} s after the start")
        place = Phone(layout.folder / "phone", sip.host, sip.port, ports)
        ran_on = chosen(CHAINS if layout.emulated is not None else None)
        facts = Facts(clinic.name, clinic.number, clinic.seed, sip.software, ran_on)
        try:
            outcome = await judged_call(api, clinic, place, judge, view)
        except CallBroken as error:
            view.line(f"\n  the call's page: {write_page(layout.folder / PAGE, error.outcome, facts)}")
            raise
        write_page(layout.folder / PAGE, outcome, facts)
    view.heading("Where the time went, from the caller's last sound")
    for exchange in outcome.exchanges:
        view.waterfall(exchange, turn_of(exchange, outcome.record) if outcome.record else None)
    if outcome.record is not None:
        view.heading("The call's record, read back through the API")
        view.record(outcome.record)
    return outcome


async def providers_used(layout: Layout, outcome: CallOutcome, view: View) -> list[str]:
    """What the emulated providers were asked; complaints when the call went without them."""
    if layout.emulated is None:
        return []
    asked = await layout.emulated.asked()
    view.heading("What the emulated providers were asked")
    for face, one in asked.items():
        if one.requests:
            view.line(f"  {face}: {one.requests} times")
    faults = [fault for turn in outcome.record.turns for fault in turn.faults] if outcome.record else []
    failed = [f"{one.stage}: {one.endpoint} failed ({one.fault}), {one.served_by or 'nobody'} served" for one in faults]
    return [*complaints(asked), *failed]


def report(outcome: CallOutcome, folder: Path, view: View, unused: list[str]) -> int:
    """The verdict, and where the recording is. `unused`: complaints about providers that did not serve."""
    view.heading("What the caller heard, judged from the sound")
    for exchange in outcome.last_of_each:
        view.judged(exchange)
    if outcome.recording is not None:
        kept = folder / "heard.wav"
        shutil.copyfile(outcome.recording, kept)
        view.line(f"\n  listen: {kept}")
    view.line(f"  look: {folder / PAGE}")
    found = [*outcome.complaints(), *unused]
    if found:
        view.line("\n[red]The demo failed:[/red]")
        for complaint in found:
            view.line(f"  - {complaint}")
        return 1
    view.line("\n[green]The caller heard the right answers.[/green]")
    return 0
