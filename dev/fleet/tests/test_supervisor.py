import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from fleet.ports import PortPool
from fleet.probes import http_ok, tcp
from fleet.process import FleetError, NotReady, ProcessDied, ProcessSpec
from fleet.supervisor import Event, Supervisor

pytestmark = pytest.mark.integration


def python(name: str, code: str, **more: object) -> ProcessSpec:
    return ProcessSpec(name=name, argv=(sys.executable, "-u", "-c", code), **more)  # type: ignore[arg-type]


def listener(name: str, port: int, **more: object) -> ProcessSpec:
    code = f"import socket,signal\ns=socket.create_server(('127.0.0.1',{port}))\nsignal.pause()"
    return python(name, code, ready=tcp("127.0.0.1", port), **more)


async def test_starts_in_order_and_stops_in_reverse(tmp_path: Path) -> None:
    events: list[Event] = []
    with PortPool() as ports:
        specs = [
            listener("last", ports.one(), after=("middle",)),
            listener("middle", ports.one(), after=("first",)),
            python("first", "print('made')", oneshot=True),
        ]
        async with Supervisor(tmp_path, events.append) as supervisor:
            await supervisor.start(*specs)
            assert {row.name: row.state for row in supervisor.status()} == {
                "last": "ready",
                "middle": "ready",
                "first": "done",
            }
    assert [(event.name, event.what) for event in events] == [
        ("first", "starting"),
        ("first", "done"),
        ("middle", "starting"),
        ("middle", "ready"),
        ("last", "starting"),
        ("last", "ready"),
        ("last", "stopping"),
        ("last", "stopped"),
        ("middle", "stopping"),
        ("middle", "stopped"),
    ]
    assert (tmp_path / "first.log").read_text() == "made\n"


async def test_others_can_wait_for_some_of_them(tmp_path: Path) -> None:
    async def never() -> None:
        raise ConnectionError("not yet")

    specs = [python("step", "pass", oneshot=True), python("slow", "import signal; signal.pause()", ready=never)]
    async with Supervisor(tmp_path) as supervisor:
        starting = asyncio.create_task(supervisor.start(*specs))
        await asyncio.wait_for(supervisor.until_ready("step"), 20)
        assert not starting.done()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting


async def test_a_process_that_dies_while_starting_is_named_with_its_last_lines(tmp_path: Path) -> None:
    spec = python("broken", "import sys; print('no such table'); sys.exit(3)", ready=tcp("127.0.0.1", 1))
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ProcessDied, match=r"broken ended with exit code 3(.|\n)*no such table"):
            await supervisor.start(spec)


async def test_a_failing_step_stops_what_waits_for_it(tmp_path: Path) -> None:
    specs = [python("step", "raise SystemExit('bad DSN')", oneshot=True), python("service", "pass", after=("step",))]
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ProcessDied, match="bad DSN"):
            await supervisor.start(*specs)
        assert [row.state for row in supervisor.status() if row.name == "service"] == ["waiting"]


async def test_a_process_that_never_answers_is_named_with_the_reason(tmp_path: Path) -> None:
    with PortPool() as ports:
        port = ports.one()
        spec = python("mute", "import signal; signal.pause()", ready=tcp("127.0.0.1", port), ready_timeout=0.2)
        async with Supervisor(tmp_path) as supervisor:
            with pytest.raises(NotReady, match=f"mute was not ready after 0.2 s .*{port}"):
                await supervisor.start(spec)


async def test_http_probe_wants_200(tmp_path: Path) -> None:
    with PortPool() as ports:
        port = ports.one()
        (tmp_path / "www").mkdir()
        (tmp_path / "www" / "ready").write_text("yes")
        server = ProcessSpec(
            name="web",
            argv=(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(tmp_path / "www")),
            ready=http_ok(f"http://127.0.0.1:{port}/ready"),
        )
        async with Supervisor(tmp_path) as supervisor:
            await supervisor.start(server)
            with pytest.raises(ConnectionError, match="404"):
                await http_ok(f"http://127.0.0.1:{port}/absent")()


async def test_guarded_work_ends_when_a_process_dies(tmp_path: Path) -> None:
    with PortPool() as ports:
        async with Supervisor(tmp_path) as supervisor:
            await supervisor.start(listener("server", ports.one()))

            async def work() -> None:
                os.kill(supervisor.pid_of("server"), signal.SIGKILL)
                await asyncio.get_running_loop().create_future()

            with pytest.raises(ProcessDied, match="server ended with signal SIGKILL"):
                await supervisor.guard(work())
            with pytest.raises(ProcessDied):
                supervisor.check()


async def test_killed_on_purpose_can_be_revived(tmp_path: Path) -> None:
    with PortPool() as ports:
        async with Supervisor(tmp_path) as supervisor:
            await supervisor.start(listener("server", ports.one()))
            before = supervisor.pid_of("server")
            await supervisor.kill("server")
            supervisor.check()
            await supervisor.revive("server")
            assert supervisor.pid_of("server") != before


def lives(pid: str) -> bool:
    """Whether it runs; a zombie that nobody has looked at yet doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_it_started_is_killed_with_it(tmp_path: Path) -> None:
    """As when its container ends: no child goes on with its work."""
    child_code = "import os, signal; print(os.getpid()); signal.pause()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-u', '-c', {child_code!r}])"
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(python("parent", code))
        async with asyncio.timeout(10):
            while not (child := supervisor.log_of("parent").read_text().strip()):
                await asyncio.sleep(0.02)
        await supervisor.kill("parent")
        async with asyncio.timeout(5):
            while lives(child):
                await asyncio.sleep(0.02)


async def test_one_that_ignores_the_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import signal,subprocess,sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child=subprocess.Popen([sys.executable,'-c','import signal; signal.pause()'])\n"
        f"open({str(tmp_path / 'child')!r},'w').write(str(child.pid))\n"
        f"import os; os.rename({str(tmp_path / 'child')!r}, {str(tmp_path / 'pid')!r})\n"
        "signal.pause()\n"
    )

    async def child_known() -> None:
        assert (tmp_path / "pid").exists()

    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(python("stubborn", code, ready=child_known, grace=0.2))
        assert await supervisor.stop("stubborn") == -signal.SIGKILL
    child = int((tmp_path / "pid").read_text())
    await gone(child)


async def gone(pid: int) -> None:
    """Waits until a process that isn't our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(10):
            await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    with PortPool() as ports:
        port = ports.one()
        code = f"""
import asyncio, os, signal, sys
from pathlib import Path
from fleet.probes import tcp
from fleet.process import ProcessSpec
from fleet.supervisor import Supervisor
child = "import socket,signal;s=socket.create_server(('127.0.0.1',{port}));signal.pause()"
async def main():
    supervisor = Supervisor(Path({str(tmp_path / "inner")!r}))
    await supervisor.start(ProcessSpec("child", (sys.executable, "-c", child), ready=tcp("127.0.0.1", {port})))
    Path({str(tmp_path / "child.pid")!r}).write_text(str(supervisor.pid_of("child")))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
        async with Supervisor(tmp_path) as supervisor:
            with pytest.raises(ProcessDied, match="SIGKILL"):
                await supervisor.start(python("supervisor", code, oneshot=True))
        await gone(int((tmp_path / "child.pid").read_text()))


async def test_order_mistakes_are_refused_before_anything_starts(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(FleetError, match="a waits for b, which is not in the fleet"):
            await supervisor.start(python("a", "pass", after=("b",)))
        with pytest.raises(FleetError, match="wait for each other: a, b"):
            await supervisor.start(python("a", "pass", after=("b",)), python("b", "pass", after=("a",)))
        assert supervisor.status() == []


async def test_a_missing_program_is_named(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(ProcessDied, match="no-such-program"):
            await supervisor.start(ProcessSpec("ghost", ("no-such-program",), oneshot=True))
