import random
import secrets
import shutil
import socket

import asyncpg
import pytest
from fleet.hosted import HostedSupervisor
from fleet.ports import PortPool, free_now
from fleet.probes import exchange, http_ok, redis_ping
from fleet.process import FleetError
from fleet.servers import LiveKitServer, NatsServer, PostgresServer, RedisServer, make_postgres, make_redis
from fleet.servers.postgres import binaries, remove_stale_pid

pytestmark = pytest.mark.integration


async def test_postgres_has_vector_and_wants_its_password(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    connection = await asyncpg.connect(postgres_database)
    await connection.execute("CREATE EXTENSION vector")
    assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,3]'") == 1.0
    assert str(await connection.fetchval("SHOW server_version")).startswith("18")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.dsn(password="guessed"))


async def test_killed_postgres_keeps_what_it_acknowledged(own_servers: HostedSupervisor) -> None:
    server = make_postgres(own_servers.folder / "pg", own_servers.ports.one(), secrets.token_urlsafe(12))
    await own_servers.astart(server.spec)
    connection = await asyncpg.connect(server.dsn())
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    await own_servers.akill("postgres")
    connection.terminate()
    data = own_servers.folder / "pg" / "data"
    assert (data / "postmaster.pid").exists()
    # Another live process has the pid by chance: the file must not stop the start.
    text = (data / "postmaster.pid").read_text().split("\n", 1)[1]
    (data / "postmaster.pid").write_text(f"1\n{text}")
    await own_servers.arevive("postgres")
    connection = await asyncpg.connect(server.dsn())
    assert await connection.fetchval("SELECT value FROM kept") == 7
    await connection.close()
    with pytest.raises(FleetError, match="already runs"):
        remove_stale_pid(data)
    assert await own_servers.astop("postgres") == 0


async def test_postgres_runs_where_namespaces_are_forbidden(
    own_servers: HostedSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.servers.postgres.namespaces_work", lambda: False)
    # Also below a home folder that is root's alone, with the programs there as well.
    closed = own_servers.folder / "closed"
    closed.mkdir(mode=0o700)
    wheel = binaries().parents[1]
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, closed / part.name, symlinks=True)
    installed = closed / wheel.name / binaries().parent.name / "bin"
    monkeypatch.setattr("fleet.servers.postgres.binaries", lambda: installed)
    server = make_postgres(closed / "pg", own_servers.ports.one(), "secret", durable=False)
    await own_servers.astart(server.spec)
    connection = await asyncpg.connect(server.dsn())
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_nats_has_jetstream_and_wants_its_password(nats_server: NatsServer) -> None:
    await http_ok(f"http://127.0.0.1:{nats_server.monitor_port}/healthz?js-enabled-only=true")()
    greeting = b'CONNECT {"verbose":false,"user":"dev","pass":"guessed"}\r\nPING\r\n'
    answer = await exchange(nats_server.host, nats_server.port, greeting)
    assert b"Authorization Violation" in answer


async def test_redis_wants_its_password(redis_server: RedisServer) -> None:
    await redis_ping(redis_server.host, redis_server.port, redis_server.password)()
    with pytest.raises(ConnectionError, match="WRONGPASS"):
        await redis_ping(redis_server.host, redis_server.port, "guessed")()


async def test_redis_runs_without_the_package_that_starts_a_daemon(
    own_servers: HostedSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = shutil.which
    monkeypatch.setattr(
        "fleet.servers.redis.shutil.which", lambda name: None if name == "redis-server" else which(name)
    )
    server = make_redis(own_servers.folder / "redis", own_servers.ports.one(), "secret")
    assert server.spec.argv[0] == str(own_servers.folder / "redis" / "redis-server")
    await own_servers.astart(server.spec)


async def test_livekit_answers(livekit_server: LiveKitServer) -> None:
    await http_ok(f"{livekit_server.http_url}/")()


def test_two_pools_never_share_a_port() -> None:
    with PortPool() as mine, PortPool() as yours:
        first, second = set(mine.block(40)), set(yours.block(40))
        again = {mine.one() for _ in range(20)}
    assert not first & second
    assert not again & (first | second)


def test_a_port_in_use_is_not_given_out() -> None:
    with PortPool(random.Random(5)) as pool:
        wanted = pool.one()
    with socket.create_server(("127.0.0.1", wanted)):
        assert not free_now(wanted)
        with PortPool(random.Random(5)) as pool:
            assert pool.one() != wanted
    with PortPool(random.Random(5)) as pool:
        assert pool.one() == wanted
