"""Paid providers' stand-ins as one more process of the fleet, and what the services and the clinic are told of them.

The services get base addresses and keys as they would of the real providers; nothing tells them that these are none.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any, get_args

from emulators.behaviour import Face
from emulators.client import EmulatorsClient
from emulators.record import Asked

from fleet.documents import faq
from fleet.draw import Clinic
from fleet.files import FleetFiles
from fleet.models import EMBEDDINGS
from fleet.ports import PortPool
from fleet.probes import http_ok
from fleet.process import FleetError, ProcessSpec

NAME = "emulators"
KINDS = {
    "emulated-openai": "openai",
    "emulated-deepgram": "deepgram",
    "emulated-elevenlabs": "elevenlabs",
    "emulated-cartesia": "cartesia",
}
CALLERS = ("voice-agent", "rag-svc", "ingest-worker")
"""The services that call providers; tenant-svc knows names and kinds only."""

CHAINS: dict[str, Any] = {
    "stt": [{"endpoint": "emulated-deepgram"}],
    "llm": [{"endpoint": "emulated-openai"}],
    "tts": [{"endpoint": "emulated-elevenlabs"}],
    "embeddings": {"endpoint": "emulated-openai"},
}
"""What the demo clinic chooses. Behind each stands the offline pipeline, as always."""

ASKED: tuple[Face, ...] = ("deepgram", "chat", "elevenlabs", "embeddings")
"""The protocols that a call with these chains must have used."""


@dataclass(frozen=True)
class EmulatedProviders:
    """Where the stand-ins are. `key` is every provider's API key."""

    port: int
    admin_port: int
    key: str = field(repr=False)

    @classmethod
    def lay_out(cls, ports: PortPool) -> EmulatedProviders:
        return cls(ports.one(), ports.one(), token_urlsafe(24))

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    def spec(self) -> ProcessSpec:
        """The process; it needs no other."""
        ports = ("--port", str(self.port), "--admin-port", str(self.admin_port))
        models = ("--embeddings", str(EMBEDDINGS.folder()))
        cache = FleetFiles.cache() / "models" / "emulated-words"
        return ProcessSpec(
            name=NAME,
            argv=(sys.executable, "-m", "emulators", *ports, *models, "--cache", str(cache)),
            env={"EMULATORS_KEY": self.key},
            ready=http_ok(f"{self.admin_url}/health"),
            ready_timeout=90.0,
        )

    def environment(self, service: str) -> dict[str, str]:
        """What a service is told."""
        if service == "tenant-svc":
            return {"SWITCHBOARD_PROVIDERS__KINDS": json.dumps(KINDS)}
        if service not in CALLERS:
            return {}
        host = f"http://127.0.0.1:{self.port}"
        places = {"openai": f"{host}/v1", "deepgram": f"{host}/v1/listen", "elevenlabs": f"{host}/v1", "cartesia": host}
        endpoints = {
            name: {"kind": kind, "base_url": places[kind], "api_key": self.key} for name, kind in KINDS.items()
        }
        return {"SWITCHBOARD_PROVIDERS__ENDPOINTS": json.dumps(endpoints)}

    async def teach(self, clinic: Clinic) -> None:
        """The account's operator gives the ear the clinic's words, as a custom vocabulary of a real one."""
        async with EmulatorsClient.open(self.admin_url) as operator:
            await operator.teach(words_of(clinic), names=[clinic.name], places=["Main Street"])

    async def asked(self) -> dict[Face, Asked]:
        """What each protocol was asked."""
        async with EmulatorsClient.open(self.admin_url) as operator:
            return {face: await operator.asked(face) for face in get_args(Face)}


def words_of(clinic: Clinic) -> list[str]:
    """The documents as text: the price list's rows, the questions with their answers."""
    rows = "\n".join(f"| {one.name} | {one.minutes} min | ${one.price} |" for one in clinic.treatments)
    return [f"# Price list\n| Treatment | Duration | Price |\n|---|---|---|\n{rows}", faq(clinic).decode()]


def complaints(asked: dict[Face, Asked]) -> list[str]:
    """A demo of providers that were never asked, or that refused what they were asked, shows nothing."""
    found = [f"the emulated {face} was never asked" for face in ASKED if not asked[face].requests]
    for face, one in asked.items():
        why = [request.refused for request in one.last if request.refused]
        found += [f"the emulated {face} refused a request: {reason}" for reason in why]
    return found


def parse(providers: str | None) -> bool:
    """What PROVIDERS= says. FleetError for anything but `emulated`, or nothing."""
    if providers not in (None, "", "emulated"):
        raise FleetError(f"PROVIDERS={providers} is not known; give PROVIDERS=emulated or leave it out")
    return providers == "emulated"
