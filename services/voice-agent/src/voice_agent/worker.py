"""The livekit-agents worker: a named agent, load by call slots, nothing that points to a hosted service."""

from __future__ import annotations

import logging
import os

# Before livekit.agents is imported anywhere: it reads these at import.
os.environ["LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"] = "0"  # the turn model is not used; its weights cost 250 MB
for name in ("LIVEKIT_AGENT_NAME", "LIVEKIT_AGENT_NAME_OVERRIDE", "LIVEKIT_OBSERVABILITY_URL", "LIVEKIT_WORKER_TOKEN"):
    os.environ.pop(name, None)
# Clients of providers read keys, addresses and headers from these; ours come from the settings only.
for name in [name for name in os.environ if name.startswith(("OPENAI_", "DEEPGRAM_", "ELEVEN_", "CARTESIA_"))]:
    del os.environ[name]

from livekit.agents import AgentServer, JobContext, JobProcess, JobRequest  # noqa: E402 - after the variables above
from livekit.agents import telemetry as lk_telemetry  # noqa: E402
from livekit.agents.utils import http_context  # noqa: E402
from livekit.agents.worker import ServerEnvOption  # noqa: E402
from livekit.protocol import agent  # noqa: E402
from switchboard.sealed import DataKey  # noqa: E402
from switchboard.settings import load  # noqa: E402
from switchboard.telemetry import setup  # noqa: E402

from voice_agent.calls.job import run_job  # noqa: E402
from voice_agent.providers import SpeechProviders  # noqa: E402
from voice_agent.settings import Settings  # noqa: E402

SERVICE = "voice-agent"
LOAD_THRESHOLD = 0.999
"""Full when every slot is taken; the load is ``calls / max_calls``."""

_SETTINGS = "settings"
_SPEECH = "speech"


def _quiet_livekit() -> None:
    """The media library names rooms, and so callers' numbers, in its messages; only its warnings are let through."""
    logging.getLogger("livekit").setLevel(logging.WARNING)
    logging.getLogger("livekit.agents").setLevel(logging.INFO)


def prepare(process: JobProcess) -> None:
    """Once per job process, before it is offered a call."""
    settings = load(Settings)
    tracing = setup(SERVICE, settings.telemetry).tracing
    # Its spans join ours, without words, numbers and names.
    lk_telemetry.set_tracer_provider(tracing.provider, allow_pii=False)
    _quiet_livekit()
    # Both take 130 ms and more the first time, which in a call would be a gap in the audio.
    http_context._create_ssl_context()
    DataKey(bytes(32), "warm-up").seal(b"", "warm-up")
    process.userdata[_SETTINGS] = settings
    process.userdata[_SPEECH] = SpeechProviders(settings.speech, settings.providers)


async def entrypoint(ctx: JobContext) -> None:
    userdata = ctx.proc.userdata
    await run_job(ctx, userdata[_SETTINGS], userdata[_SPEECH])


async def accept(request: JobRequest) -> None:
    """The identity says nothing about caller or clinic: it is visible in the room and in LiveKit's logs."""
    await request.accept(identity=f"agent-{request.job.id}", name="receptionist")


class Worker(AgentServer):
    """The library's worker, but for what it does when LiveKit calls a job over."""

    async def _handle_termination(self, msg: agent.JobTermination) -> None:
        """Not obeyed. LiveKit says so as soon as the agent's connection is lost, also when the SDK is about to join again,
        and the library would cut the call 15 s later. A job of ours ends by itself when its caller or its room is gone.
        """
        logging.getLogger(__name__).warning("LiveKit calls a job over; its call decides")


def make_server(settings: Settings) -> AgentServer:
    """The worker of this process; ``run()`` it."""
    _quiet_livekit()
    worker = settings.worker

    def load_by_slots(server: AgentServer) -> float:
        return len(server.active_jobs) / worker.max_calls

    server = Worker(
        ws_url=settings.livekit.url,
        api_key=settings.livekit.api_key,
        api_secret=settings.livekit.api_secret.get_secret_value(),
        # CPU reacts seconds late, so that a burst would be over-accepted; slots don't.
        load_fnc=load_by_slots,
        load_threshold=LOAD_THRESHOLD,
        num_idle_processes=ServerEnvOption(dev_default=worker.idle_processes, prod_default=worker.idle_processes),
        drain_timeout=worker.drain_timeout_s,
        setup_fnc=prepare,
        max_retry=1_000_000,
        host="127.0.0.1",
        port=0,
        # The clients of providers take a second to load: once, before any call, and only where there are any.
        preload_modules=[
            "voice_agent.worker",
            *(["voice_agent.adapters.plugins"] if settings.providers.endpoints else []),
        ],
    )
    server.rtc_session(entrypoint, agent_name=worker.agent_name, on_request=accept)
    return server
