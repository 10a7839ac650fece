"""The part of set-up that needs the Python environment: LiveKit server and the models. `tools/setup.sh` calls it.

Leaves `.venv/setup.check`, a shell script that says in a few milliseconds whether everything is still there.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from fleet import models
from fleet.files import FleetFiles
from fleet.models import MODELS, Model
from fleet.process import FleetError, base_environment, tail
from fleet.servers import livekit
from fleet.servers.livekit import LIVEKIT_VERSION

LIVEKIT_MODULE = f"github.com/livekit/livekit-server/cmd/server@v{LIVEKIT_VERSION}"


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def livekit_in_cache() -> Path:
    return FleetFiles.cache() / f"livekit-server-{LIVEKIT_VERSION}" / "livekit-server"


def install_livekit() -> None:
    """Builds LiveKit server into the cache folder unless one is named, on PATH, or built already."""
    if named := os.environ.get("LIVEKIT_SERVER_BIN"):
        if not os.access(named, os.X_OK):
            raise FleetError(f"LIVEKIT_SERVER_BIN={named} is not a program; correct it or leave it unset")
        return
    if shutil.which("livekit-server") or livekit_in_cache().exists():
        return
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        raise FleetError(
            f"LiveKit server {LIVEKIT_VERSION} has to be built, and there is no Go here. Install Go 1.26 or newer "
            "(https://go.dev/dl), or put a livekit-server on PATH, or name one: LIVEKIT_SERVER_BIN=/path/to/livekit-server"
        )
    build_livekit(go)


def build_livekit(go: str) -> None:
    """`go install` at the pinned version, with every folder Go writes to inside the cache folder."""
    cache = FleetFiles.cache()
    target = livekit_in_cache()
    say(f"building LiveKit server {LIVEKIT_VERSION}, which carries the calls' audio (2 to 5 minutes, once)")
    say(f"  it stays in {target.parent}")
    target.parent.mkdir(parents=True, exist_ok=True)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    env = {
        **base_environment(),
        # The user's own settings of Go (proxy, certificates) count; its telemetry folder stays untouched.
        "GOENV": os.environ.get("GOENV") or str(config / "go" / "env"),
        "XDG_CONFIG_HOME": str(cache / "go" / "config"),
        "GOPATH": str(cache / "go"),
        "GOMODCACHE": str(cache / "go" / "pkg" / "mod"),
        "GOCACHE": str(cache / "go-build"),
        "GOBIN": str(target.parent / "new"),
        # Module files are read-only by default, and then nobody can delete the cache folder.
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": os.environ.get("GOTOOLCHAIN", "auto"),
    }
    run([go, "install", LIVEKIT_MODULE], env, target.parent / "build.log", "LiveKit server was not built")
    (target.parent / "new" / "server").replace(target)
    (target.parent / "new").rmdir()


def install_model(model: Model) -> None:
    """Makes a model's folder whole or not at all."""
    folder = model.folder()
    if folder.exists():
        return
    say(f"making {folder.name}: {model.why}")
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    log = folder.with_name(f"{model.name}.log")
    run([sys.executable, *model.command, "--out", str(fresh)], base_environment(), log, f"{model.name} was not made")
    try:
        fresh.rename(folder)
    except OSError:
        # Another checkout made the same one meanwhile.
        shutil.rmtree(fresh)


def run(command: list[str], env: dict[str, str], log: Path, complaint: str) -> None:
    """Runs with its output in a log; FleetError with the last lines when it fails."""
    with log.open("wb") as stream:
        code = subprocess.run(command, env=env, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    if code != 0:
        raise FleetError(f"{complaint} ({shlex.join(command)} ended with {code}); the end of {log}:\n{tail(log)}")


def write_check() -> None:
    """The quick check: the programs and models that were there when set-up ended are there, of unchanged recipes."""
    server = shlex.quote(str(livekit_in_cache()))
    lines = [
        "# Written by fleet.setup; says whether set-up has nothing to do.",
        f'test -x "${{LIVEKIT_SERVER_BIN:-{server}}}" || command -v livekit-server >/dev/null || exit 1',
    ]
    lines += unchanged([Path(__file__), Path(models.__file__), Path(livekit.__file__)])
    for model in MODELS:
        lines.append(f"test -d {shlex.quote(str(model.folder()))} || exit 1")
        lines += unchanged(model.files())
    (FleetFiles.checkout() / ".venv" / "setup.check").write_text("\n".join(lines) + "\n")


def unchanged(files: list[Path]) -> list[str]:
    """A line of shell that fails when one of these files has changed."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return [f'test "$(cat {shlex.join(map(str, files))} | sha256sum)" = "{digest}  -" || exit 1']


def main() -> int:
    began = time.monotonic()
    try:
        FleetFiles.cache().mkdir(parents=True, exist_ok=True)
        install_livekit()
        for model in MODELS:
            install_model(model)
        write_check()
    except FleetError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    if time.monotonic() - began > 5:
        say(f"LiveKit server and models took {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
