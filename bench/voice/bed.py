"""What the voice benches run on: one whole fleet with emulated providers of set latencies; our worker, the plain worker and
the echo beside each other on the same LiveKit and the same SIP node.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emulators.client import EmulatorsClient
from fleet.api import SwitchboardApi
from fleet.draw import Clinic, draw_clinic
from fleet.emulated import CHAINS, EmulatedProviders, words_of
from fleet.layout import Layout, lay_out
from fleet.onboarding import onboard
from fleet.ports import PortPool
from fleet.process import FleetError, ProcessSpec
from fleet.services import all_specs
from fleet.supervisor import Supervisor
from livekit import api
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
)

from bench.frame.ground import WRITES_SPANS
from bench.peer import AGENT_NAME as PEER
from bench.peer import ECHO
from bench.voice.phone import NotAnswered, call

STT_MS, LLM_MS, TTS_MS = 150, 300, 100
PROVIDERS_MS = STT_MS + LLM_MS + TTS_MS
"""What the providers take of a turn, one after the other."""


IDLE_PROCESSES = 2
"""Warm processes of our worker: as many as the plain one has by itself on two cores."""

WARM_UP_TRIES = 6

GREETING = "Hello, how can I help you?"
CALLS = 20

VOICE = "hpp4J3VqNfWAUOO0d1Us"
"""The ElevenLabs plugin's default voice, which both use."""
WORDS_A_MINUTE = 230
"""Quick answers: how long one lasts has no part in how soon it begins."""

OURS, STOCK, TUNED = "ours", "stock", "tuned"
NUMBERS = {STOCK: "18880000001", TUNED: "18880000002", ECHO: "18880000003"}


@dataclass(frozen=True)
class Bed:
    """Everything runs; `numbers` are what to dial."""

    layout: Layout
    supervisor: Supervisor
    clinic: Clinic
    numbers: dict[str, str]
    providers: EmulatorsClient

    @property
    def sip(self) -> tuple[str, int]:
        return self.layout.sip.host, self.layout.sip.port

    def livekit(self) -> api.LiveKitAPI:
        livekit = self.layout.livekit
        return api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret)


@asynccontextmanager
async def bed(
    folder: Path, *, seed: int = 1, greeting: str = GREETING, words_a_minute: int = WORDS_A_MINUTE
) -> AsyncIterator[Bed]:
    """A running bed in `folder`; everything is stopped with the block."""
    clinic = draw_clinic(seed)
    async with AsyncExitStack() as stack:
        ports = stack.enter_context(PortPool())
        layout = lay_out(folder, ports, emulated=True)
        supervisor = await stack.enter_async_context(Supervisor(layout.logs))
        emulated = layout.emulated
        assert emulated is not None
        instructions = folder / "instructions.txt"
        instructions.write_text(peer_instructions(clinic))
        await supervisor.start(*specs(layout, emulated, instructions, greeting))
        providers = await stack.enter_async_context(EmulatorsClient.open(emulated.admin_url))
        await emulated.teach(clinic)
        await set_latencies(providers)
        await providers.add_voice(VOICE, "en-us", speed=words_a_minute)
        await bring_in(layout, clinic, greeting)
        made = Bed(layout, supervisor, clinic, {OURS: clinic.number.removeprefix("+"), **NUMBERS}, providers)
        await open_lines(made)
        for number in made.numbers.values():
            await takes_calls(made, number)
        yield made


async def takes_calls(made: Bed, number: str) -> None:
    """What was published a moment ago is on its way to all who decide about a call."""
    for tries_left in range(WARM_UP_TRIES, -1, -1):
        try:
            async with call(made.sip, number) as phone:
                await phone.media.wait_packets(10)
            return
        except NotAnswered:
            if not tries_left:
                raise
            await asyncio.sleep(0.5)


async def set_latencies(providers: EmulatorsClient) -> None:
    await providers.latency("deepgram", first_ms=STT_MS)
    await providers.latency("chat", first_ms=LLM_MS)
    await providers.latency("elevenlabs", first_ms=TTS_MS)


def specs(layout: Layout, emulated: EmulatedProviders, instructions: Path, greeting: str) -> list[ProcessSpec]:
    """The fleet's processes and the plain worker, in which the echo is too."""
    found = [adapted(spec) for spec in all_specs(layout)]
    livekit = layout.livekit
    peer = {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.api_key,
        "LIVEKIT_API_SECRET": livekit.api_secret,
        "PROVIDERS": f"http://127.0.0.1:{emulated.port}",
        "PROVIDERS_KEY": emulated.key,
        "INSTRUCTIONS": str(instructions),
        "GREETING": greeting,
    }
    return [
        *found,
        beside(layout, "peer", ("bench.peer.worker",), peer),
    ]


def adapted(spec: ProcessSpec) -> ProcessSpec:
    """Spans are made and written nowhere: a fleet of the tests writes each to a file at once, which no deployment does."""
    env = {key: value for key, value in spec.env.items() if key != WRITES_SPANS}
    if spec.name == "voice-agent":
        env |= {
            "SWITCHBOARD_WORKER__IDLE_PROCESSES": str(IDLE_PROCESSES),
            "SWITCHBOARD_WORKER__MAX_CALLS": str(CALLS),
        }
    if spec.name == "call-orchestrator":
        # Its watch over rooms would send our agent to a plain worker that is slow to come.
        env["SWITCHBOARD_CALLS__JOIN_WITHIN_S"] = "25"
    return replace(spec, env=env)


def beside(layout: Layout, name: str, module: tuple[str, ...], env: dict[str, str]) -> ProcessSpec:
    """A process of the bench; it says that it is ready by making a file."""
    ready = layout.folder / f"{name}.ready"

    async def there() -> None:
        if not ready.exists():
            raise FleetError(f"{name} is not ready")

    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-m", *module, str(ready)),
        env=env,
        cwd=Path(__file__).resolve().parents[2],
        ready=there,
        ready_timeout=90.0,
        grace=25.0,
        after=(layout.livekit.spec.name, "emulators"),
    )


def peer_instructions(clinic: Clinic) -> str:
    """What a quickstart would be given: the documents in the prompt, nothing to look up."""
    documents = "\n\n".join(words_of(clinic))
    return (
        f"You are the receptionist of {clinic.name}, on the telephone. Answer in one short sentence, from the documents "
        f"only; say so when they don't tell.\n\n# Documents\n\n{documents}"
    )


async def bring_in(layout: Layout, clinic: Clinic, greeting: str) -> None:
    """The clinic chooses the emulated ear, model and voice; passages are embedded by rag-svc itself."""
    chains: dict[str, Any] = {stage: chain for stage, chain in CHAINS.items() if stage != "embeddings"}
    made = await onboard(layout, clinic, lambda _: None, chains)
    async with SwitchboardApi.open(layout.api_url, made.api_key) as api_:
        await api_.set_agent(
            greeting=greeting,
            language="en",
            voice="en-us",
            max_concurrent_calls=CALLS,
            outside_hours="talk",
            providers=chains,
        )
        await api_.publish()


async def open_lines(made: Bed) -> None:
    """A trunk, a rule and a number each for the plain worker's two columns and for the echo."""
    async with made.livekit() as lk:
        for name, number in NUMBERS.items():
            trunk = await lk.sip.create_sip_inbound_trunk(
                CreateSIPInboundTrunkRequest(
                    trunk=SIPInboundTrunkInfo(
                        name=f"bench {name}", numbers=[number], allowed_addresses=["127.0.0.1/32"]
                    )
                )
            )
            individual = SIPDispatchRuleIndividual(room_prefix=f"bench-{name}-")
            info = SIPDispatchRuleInfo(
                rule=SIPDispatchRule(dispatch_rule_individual=individual),
                trunk_ids=[trunk.sip_trunk_id],
                name=f"bench {name}",
                room_config=RoomConfiguration(agents=[RoomAgentDispatch(agent_name=PEER, metadata=name)]),
            )
            await lk.sip.create_sip_dispatch_rule(CreateSIPDispatchRuleRequest(dispatch_rule=info))
