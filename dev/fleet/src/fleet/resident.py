"""The fleet that stays: `make up` starts a supervisor of its own, which writes down what it runs in `var/up`."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fleet.api import SwitchboardApi
from fleet.call import CallBroken, CallOutcome, Judged, Phone, agent_judge, ask_once
from fleet.draw import draw_clinic
from fleet.files import FleetFiles, write_private
from fleet.judge import Verdict
from fleet.layout import DATABASE, Layout, lay_out, parse_copies
from fleet.onboarding import AGENT_VOICE, onboard
from fleet.page import PAGE, Facts, write_page
from fleet.ports import PortPool
from fleet.process import FleetError, base_environment, describe_exit, tail
from fleet.secret_store import FleetSecrets
from fleet.servers.postgres import SUPERUSER
from fleet.services import MIGRATE, MODULES, all_specs, migrate_environment
from fleet.speech import Samples, Synthesizer
from fleet.supervisor import Event, Supervisor
from fleet.view import View, terminal

START_TIMEOUT = 180.0
STOP_TIMEOUT = 120.0


@dataclass(frozen=True)
class State:
    """What the supervisor of `make up` says about itself. `began` tells its pid from a later one of the same number."""

    pid: int
    began: int
    phase: str
    api_url: str
    sip_port: int
    postgres_port: int
    started: float
    processes: list[dict[str, Any]]
    detail: str = ""
    sip: str = ""
    mailbox_url: str = ""


def folder() -> Path:
    place = FleetFiles.var() / "up"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def clinic_file() -> Path:
    return folder() / "clinic.json"


def birth(pid: int) -> int:
    """When a process started, in the kernel's ticks; 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def read_state() -> State | None:
    """The state of a supervisor that lives; None when there is none."""
    try:
        state = State(**json.loads((folder() / "state.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state if birth(state.pid) == state.began else None


class Writer:
    """Writes the state down whenever something changes."""

    def __init__(self, supervisor: Supervisor, layout: Layout) -> None:
        self._supervisor, self._layout = supervisor, layout
        self._started = time.time()
        self.phase, self.detail = "starting", ""

    def write(self) -> None:
        ports = self._layout.http_ports
        rows = [
            {"name": r.name, "state": r.state, "pid": r.pid, "log": str(r.log), "port": ports.get(r.name)}
            for r in self._supervisor.status()
        ]
        state = State(
            os.getpid(),
            birth(os.getpid()),
            self.phase,
            self._layout.api_url,
            self._layout.sip.port,
            self._layout.postgres.port,
            self._started,
            rows,
            self.detail,
            self._layout.sip.software,
            self._layout.mailbox.url,
        )
        write_private(folder() / "state.json", json.dumps(asdict(state), indent=1))


async def serve(seed: int | None, copies: str = "") -> int:
    """Runs the fleet until SIGTERM or Ctrl-C. A process that dies is named; the others go on.

    `copies`: as COPIES= says it (`fleet.layout.parse_copies`).
    """
    wanted = parse_copies(copies)
    if (other := read_state()) is not None and other.pid != os.getpid():
        raise FleetError(f"a fleet runs already (pid {other.pid}); `make down` stops it")
    view = View(terminal())
    with PortPool() as ports:
        layout = lay_out(folder(), ports, copies=wanted)
        writer: Writer | None = None

        def on_event(event: Event) -> None:
            view.process(event)
            if event.what == "died" and writer is not None:
                writer.detail = event.detail
            if writer is not None:
                writer.write()

        async with Supervisor(layout.logs, on_event) as supervisor:
            writer = Writer(supervisor, layout)
            writer.write()
            await supervisor.start(*all_specs(layout))
            if not clinic_file().exists():
                await supervisor.guard(onboard_demo(layout, seed, view))
            writer.phase = "up"
            writer.write()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                writer.phase = "stopping"
                writer.write()
    return 0


async def onboard_demo(layout: Layout, seed: int | None, view: View) -> None:
    """The demo clinic of the fleet that stays; its key is kept beside the fleet's secrets."""
    clinic = draw_clinic(int(time.time()) if seed is None else seed)
    made = await onboard(layout, clinic, lambda text: view.line(f"  {text}"))
    account = made.account.model_dump(include={"email", "password", "api_key"})
    write_private(clinic_file(), json.dumps({"number": made.number, "seed": clinic.seed, **account}))


def up(seed: int | None, copies: str = "") -> int:
    """Starts the supervisor in the background and returns when the fleet answers."""
    parse_copies(copies)
    if (state := read_state()) is not None:
        print(f"it runs already: {state.api_url} (pid {state.pid})")
        return 0
    log = folder() / "supervisor.log"
    more = [*(["--seed", str(seed)] if seed is not None else []), *(["--copies", copies] if copies else [])]
    command = [sys.executable, "-m", "fleet", "serve", *more]
    with log.open("wb") as stream:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    shown, deadline = 0, time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        print(text[shown:], end="", flush=True)
        shown = len(text)
        if started.poll() is not None:
            raise FleetError(f"the supervisor ended with {describe_exit(started.returncode)}; see {log}")
        state = read_state()
        if state is not None and state.pid == started.pid and state.phase == "up":
            print(f"mail to anybody is shown at {state.mailbox_url}")
            print(f'up: {state.api_url}; `make call ASK="..."` calls the demo clinic, `make down` stops everything')
            return 0
        # Woken by the supervisor's end, or looks again.
        try:
            started.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    os.kill(started.pid, signal.SIGTERM)
    raise FleetError(f"the fleet was not up after {START_TIMEOUT:.0f} s; the end of {log}:\n{tail(log)}")


def down() -> int:
    """Stops the supervisor and with it everything that it runs."""
    state = read_state()
    if state is None:
        print("nothing runs")
        return 0
    handle = os.pidfd_open(state.pid)
    try:
        os.kill(state.pid, signal.SIGTERM)
        if not wait_for_end(handle, STOP_TIMEOUT):
            raise FleetError(f"the supervisor (pid {state.pid}) didn't end within {STOP_TIMEOUT:.0f} s")
    finally:
        os.close(handle)
    print("stopped; the data stays in var/up (delete that folder to begin anew)")
    return 0


def wait_for_end(pidfd: int, timeout: float) -> bool:
    """Whether the process of this pidfd ended in time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


def status() -> int:
    """One line a process; 1 when nothing runs or something died."""
    state = read_state()
    if state is None:
        print("nothing runs; `make up` starts the fleet")
        return 1
    minutes = (time.time() - state.started) / 60
    print(
        f"{state.phase} for {minutes:.0f} min, {state.api_url}, SIP on 127.0.0.1:{state.sip_port} (UDP), "
        f"mail at {state.mailbox_url}, pid {state.pid}"
    )
    for row in state.processes:
        print(f"  {row['name']:<20} {row['state']:<9} {row['pid'] or '':<8} {row.get('port') or '':<6} {row['log']}")
    if state.detail:
        print(state.detail)
    return 1 if any(row["state"] == "died" for row in state.processes) else 0


def logs(name: str | None) -> int:
    """The last lines of every log (or of one), and what comes, until Ctrl-C."""
    place = folder() / "logs"
    names = [name] if name else sorted(path.stem for path in place.glob("*.log"))
    if not names or not all((place / f"{one}.log").exists() for one in names):
        known = ", ".join(sorted(path.stem for path in place.glob("*.log"))) or "none yet"
        raise FleetError(f"no such log; there are: {known}")
    follow = ["tail", "-n", "20", "-F", *(str(place / f"{one}.log") for one in names)]
    return subprocess.run(follow, check=False).returncode


def migrate() -> int:
    """Applies the migrations of this checkout to the database of the fleet that runs."""
    state = read_state()
    if state is None:
        raise FleetError("nothing runs; `make up` migrates when it starts")
    secrets = FleetSecrets.kept_in(folder() / "secrets.json")
    dsn = f"postgresql://{SUPERUSER}:{secrets.postgres}@127.0.0.1:{state.postgres_port}/{DATABASE}"
    env = {**base_environment(), **migrate_environment(dsn, secrets)}
    return subprocess.run([sys.executable, "-m", MODULES[MIGRATE]], env=env, check=False).returncode


async def call(ask: str) -> int:
    """Calls the demo clinic, asks, prints what was heard."""
    if not ask.strip():
        raise FleetError('say what to ask: make call ASK="how much is a cleaning"')
    state = read_state()
    if state is None or state.phase != "up" or not clinic_file().exists():
        raise FleetError("no fleet is up; `make up` starts one")
    clinic = json.loads(clinic_file().read_text())
    view = View(terminal())
    run = folder() / "calls" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run.mkdir(parents=True)
    try:
        with PortPool() as ports:
            async with SwitchboardApi.open(state.api_url, clinic["api_key"]) as api:
                place = Phone(run, "127.0.0.1", state.sip_port, ports)
                outcome = await ask_once(api, clinic["number"], place, ask, sound_judge(run), view)
    except CallBroken as error:
        keep_page(run, error.outcome, clinic, state, view)
        raise
    keep_page(run, outcome, clinic, state, view)
    verdict = outcome.exchanges[0].verdict
    print(f"heard: {outcome.exchanges[0].text or 'something, but the API has no words for it'}")
    if not verdict.ok:
        print(f"the sound isn't those words: {verdict.reason}", file=sys.stderr)
        return 1
    return 0


def keep_page(run: Path, outcome: CallOutcome, clinic: dict[str, Any], state: State, view: View) -> None:
    """Writes the call's page and says where it and the recording are."""
    drawn = draw_clinic(clinic["seed"])
    facts = Facts(clinic=drawn.name, number=clinic["number"], seed=drawn.seed, sip=state.sip)
    view.line(f"  what the caller heard: {outcome.recording}")
    view.line(f"  the call's page: {write_page(run / PAGE, outcome, facts)}")


def sound_judge(run: Path) -> Judged:
    """Says whether what was heard is what the agent says it said. Loads its ear only then: that takes a second."""

    async def judged(sound: Samples, answer: str) -> Verdict:
        if not answer:
            return Verdict(False, "the API has no words for what was heard", (), 0.0)
        judge = await asyncio.to_thread(agent_judge, Synthesizer(run / "speech-judge"), AGENT_VOICE)
        return await asyncio.to_thread(judge.choose, sound, answer, [])

    return judged
