import hashlib
import json
import os
import stat
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from fleet import resident
from fleet.files import FleetFiles, find_program, write_private
from fleet.layout import SERVICES, lay_out, parse_copies, service_of
from fleet.models import MODELS
from fleet.ports import PortPool
from fleet.process import FleetError, base_environment
from fleet.secret_store import FleetSecrets
from fleet.services import NEEDS, all_specs, fragment
from fleet.supervisor import check_order

pytestmark = pytest.mark.unit


def test_secrets_are_drawn_once_per_folder_and_private(tmp_path: Path) -> None:
    first = FleetSecrets.kept_in(tmp_path / "secrets.json")
    assert FleetSecrets.kept_in(tmp_path / "secrets.json") == first
    assert FleetSecrets.kept_in(tmp_path / "other.json") != first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    everything = [*first.roles.values(), *first.nats.values(), first.postgres, first.redis_app, first.livekit_secret]
    assert len(set(everything)) == len(everything)
    assert first.postgres not in repr(first)


def test_unreadable_secrets_name_the_fix(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(FleetError, match="delete its folder"):
        FleetSecrets.kept_in(tmp_path / "secrets.json")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout can be made without anything being installed."""
    monkeypatch.setenv("LIVEKIT_SERVER_BIN", "/bin/true")


def test_the_fleet_is_whole_and_its_order_has_no_circle(tmp_path: Path, programs: None) -> None:
    with PortPool() as ports:
        layout = lay_out(tmp_path, ports)
        specs = all_specs(layout)
    check_order(specs)
    names = [spec.name for spec in specs]
    assert len(names) == len(set(names)) == 15
    assert set(SERVICES) <= set(names)


def test_copies_differ_by_port_and_files_and_by_nothing_else(tmp_path: Path, programs: None) -> None:
    with PortPool() as ports:
        layout = lay_out(tmp_path, ports, copies={"rag-svc": 2, "api-gateway": 2})
        specs = {spec.name: spec for spec in all_specs(layout)}
    check_order(list(specs.values()))
    assert layout.copies_of("rag-svc") == ["rag-svc", "rag-svc-2"]
    assert layout.copies_of("voice-agent") == ["voice-agent"]
    first, second = specs["rag-svc"], specs["rag-svc-2"]
    own = {"SWITCHBOARD_HTTP__PORT", "SWITCHBOARD_TELEMETRY__SPANS_FILE"}
    assert {key for key in {*first.env, *second.env} if first.env[key] != second.env[key]} == own
    assert (first.argv, first.after) == (second.argv, second.after)
    livekit = specs["livekit"]
    assert livekit.prepare is not None
    livekit.prepare()
    told = (tmp_path / "livekit" / "livekit.yaml").read_text()
    assert all(f"{layout.url(gateway)}/webhooks/livekit" in told for gateway in layout.copies_of("api-gateway"))


def test_copies_as_a_person_writes_them() -> None:
    assert parse_copies("") == {}
    assert parse_copies("rag-svc=2, voice-agent=3") == {"rag-svc": 2, "voice-agent": 3}
    assert [service_of(name) for name in ("rag-svc", "rag-svc-2", "api-gateway")] == [
        "rag-svc",
        "rag-svc",
        "api-gateway",
    ]


@pytest.mark.parametrize("text", ["rag=2", "rag-svc", "rag-svc=0", "rag-svc=ten", "rag-svc=10"])
def test_copies_that_make_no_sense_are_refused_with_the_fix(text: str) -> None:
    with pytest.raises(FleetError, match="COPIES="):
        parse_copies(text)


def test_each_service_gets_only_its_own_credentials(tmp_path: Path, programs: None) -> None:
    with PortPool() as ports:
        layout = lay_out(tmp_path, ports)
    secrets = layout.secrets
    for spec in all_specs(layout):
        if spec.name not in SERVICES:
            continue
        given = " ".join(spec.env.values())
        assert secrets.nats[spec.name] in given
        others = [password for user, password in secrets.nats.items() if user != spec.name]
        others += [secrets.postgres, secrets.roles["ops"]]
        if "database" not in NEEDS[spec.name]:
            others += list(secrets.roles.values())
        assert not [password for password in others if password in given]
    assert secrets.roles["tenant_svc"] in fragment(layout, "tenant-svc", "database")["SWITCHBOARD_DATABASE__DSN"]


def test_a_real_livekit_sip_takes_the_nodes_place(
    tmp_path: Path, programs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PortPool() as ports:
        assert lay_out(tmp_path, ports).sip.spec.argv[1:3] == ("-m", "sip_node")
        monkeypatch.setenv("LIVEKIT_SIP_BIN", "/bin/true")
        sip = lay_out(tmp_path, ports).sip
        assert sip.real
        assert sip.spec.argv[0] == "/bin/true"
        monkeypatch.setenv("LIVEKIT_SIP_BIN", str(tmp_path / "absent"))
        with pytest.raises(FleetError, match=r"LIVEKIT_SIP_BIN=.* is not a program"):
            lay_out(tmp_path, ports)


def test_settings_of_the_outer_environment_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_NATS__PASSWORD", "leaked")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere")
    given = base_environment()
    assert not [key for key in given if key.startswith(("SWITCHBOARD_", "OTEL_"))]
    assert given["ORT_DISABLE_TELEMETRY"] == "1"


def test_private_files_replace_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_missing_program_names_the_remedy() -> None:
    with pytest.raises(FleetError, match="no-such-thing is missing: Debian package x"):
        find_program("no-such-thing", "Debian package x")


def state(pid: int, began: int) -> resident.State:
    return resident.State(pid, began, "up", "http://127.0.0.1:1", 1, 1, 0.0, [])


def test_a_crashed_supervisors_state_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FleetFiles, "var", classmethod(lambda cls: tmp_path))
    assert resident.read_state() is None
    place = resident.folder() / "state.json"
    me = os.getpid()
    place.write_text(json.dumps(asdict(state(me, resident.birth(me)))))
    assert resident.read_state() is not None
    # The pid was given to another process since.
    place.write_text(json.dumps(asdict(state(me, resident.birth(me) - 1))))
    assert resident.read_state() is None
    place.write_text("{")
    assert resident.read_state() is None
    assert resident.down() == 0
    assert resident.status() == 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_models_folder_follows_its_sources(model: object) -> None:
    from fleet.models import Model

    assert isinstance(model, Model)
    assert model.files(), "its sources have moved"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in model.files())).hexdigest()
    assert model.folder().name == f"{model.name}-{digest[:16]}"


def test_the_quick_check_agrees_with_cat_and_sha256sum(tmp_path: Path) -> None:
    from fleet.setup import unchanged

    (tmp_path / "a").write_text("one")
    lines = unchanged([tmp_path / "a"])
    script = "\n".join(lines)
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0
    (tmp_path / "a").write_text("two")
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 1
