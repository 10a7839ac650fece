"""What is decided about containers before there is one; that they do the processes' work is seen by INFRA=containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import containers
from fleet.process import ProcessSpec
from fleet.servers import make_livekit, make_nats, make_postgres, make_redis

pytestmark = pytest.mark.unit


def specs(folder: Path) -> list[ProcessSpec]:
    redis = make_redis(folder / "redis", 4, "secret")
    return [
        make_postgres(folder / "postgres", 1, "secret").spec,
        make_nats(folder / "nats", 2, 3, "secret").spec,
        redis.spec,
        make_livekit(folder / "livekit", (5, 6, 7), ("key", "s" * 32), redis).spec,
    ]


def test_every_server_can_be_a_container_with_the_same_arguments(tmp_path: Path) -> None:
    for spec in specs(tmp_path):
        boxed = spec.container
        assert boxed is not None
        assert boxed.image in containers.OFFICIAL
        arguments = boxed.command[1:] if boxed.image == "postgres" else boxed.command
        assert spec.argv[-len(arguments) :] == arguments
        assert boxed.folder == tmp_path / ("redis" if boxed.image == "redis" else spec.name)


def test_an_image_is_official_or_local_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONTAINER_IMAGES", "NATS_IMAGE", "POSTGRES_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    assert containers.image("postgres") == "pgvector/pgvector:pg18"
    monkeypatch.setenv("CONTAINER_IMAGES", "local")
    assert containers.image("postgres") == "switchboard-test/postgres:latest"
    monkeypatch.setenv("POSTGRES_IMAGE", "mine:1")
    assert containers.image("postgres") == "mine:1"
    assert containers.image("nats") == "switchboard-test/nats:latest"


def test_an_engine_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    assert containers.silence() == f"unix://{tmp_path}/nobody.sock: No such file or directory"


def test_containers_are_used_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFRA", raising=False)
    assert not containers.wanted()
    monkeypatch.setenv("INFRA", "containers")
    assert containers.wanted()
