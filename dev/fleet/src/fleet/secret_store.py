"""Every password, key and token of one fleet, drawn when it is made and kept in a file that only its owner may read."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from switchboard.bus import permissions

from fleet.files import write_private
from fleet.process import FleetError

DATABASE_ROLES = ("tenant_svc", "call_orchestrator", "rag_svc", "ops")


def _password() -> str:
    # Letters, digits, - and _ only: it stands in URLs and in configuration files.
    return secrets.token_urlsafe(24)


def _passwords(names: tuple[str, ...]) -> dict[str, str]:
    return {name: _password() for name in names}


@dataclass(frozen=True)
class FleetSecrets:
    """Drawn anew unless read from a file."""

    postgres: str = field(default_factory=_password, repr=False)
    roles: dict[str, str] = field(default_factory=lambda: _passwords(DATABASE_ROLES), repr=False)
    nats: dict[str, str] = field(default_factory=lambda: _passwords(permissions.users()), repr=False)
    redis_app: str = field(default_factory=_password, repr=False)
    redis_livekit: str = field(default_factory=_password, repr=False)
    livekit_key: str = field(default_factory=lambda: "key" + secrets.token_hex(6), repr=False)
    livekit_secret: str = field(default_factory=lambda: secrets.token_hex(24), repr=False)
    master_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode(), repr=False)
    operators: str = field(default_factory=_password, repr=False)

    @classmethod
    def kept_in(cls, path: Path) -> FleetSecrets:
        """Those of an earlier start in the same folder, or new ones, which are then kept."""
        if path.exists():
            try:
                kept = cls(**json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                raise FleetError(f"{path} can't be read ({error}); delete its folder to begin anew") from error
            # A service that was added since gets its password too.
            fresh = {**_passwords(permissions.users()), **kept.nats}
            kept = cls(**{**asdict(kept), "nats": fresh})
        else:
            kept = cls()
        write_private(path, json.dumps(asdict(kept), indent=1))
        return kept
