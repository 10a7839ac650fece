"""The plain worker that ours is measured against: livekit-agents' quickstart, nothing else.

    python -m bench.peer.worker READY_FILE

One worker, two columns, told apart by a job's metadata: `stock` has the session's stock settings, `tuned` has the turn
settings of our voice agent. Both use the bundled VAD; the local turn model, which the library would take by itself, waits up
to its limit of 2.5 s for synthetic voices, so leaving it out is in the peer's favour. So is its load, which by itself is the
machine's CPU: with everything on one machine it would refuse calls.

Environment: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, PROVIDERS (the emulators' base address), PROVIDERS_KEY,
INSTRUCTIONS (a file), GREETING.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

os.environ["LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"] = "0"  # the weights of the turn model that is not used

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, inference
from livekit.agents.types import NOT_GIVEN
from livekit.agents.voice.turn import TurnHandlingOptions
from livekit.plugins import deepgram, elevenlabs, openai

from bench.peer import AGENT_NAME, ECHO

MOST_CALLS = 20


def prewarm(process: JobProcess) -> None:
    """What the quickstart does: the VAD is loaded before there is a call."""
    process.userdata["vad"] = inference.VAD()


def turn_settings(column: str) -> TurnHandlingOptions:
    if column == "tuned":
        # Late: `stock` must not pay for importing our code.
        from voice_agent.drivers.room import TURN_HANDLING

        return TURN_HANDLING
    return TurnHandlingOptions(turn_detection="vad")


async def entrypoint(ctx: JobContext) -> None:
    if ctx.job.metadata == ECHO:
        # Late, as below: the worker that is measured imports nothing but what a quickstart has.
        from bench.voice.echo import give_back

        await give_back(ctx)
        return
    base, key = os.environ["PROVIDERS"], os.environ["PROVIDERS_KEY"]
    tuned = ctx.job.metadata == "tuned"
    session: AgentSession[None] = AgentSession(
        stt=deepgram.STT(api_key=key, base_url=f"{base}/v1/listen"),
        llm=openai.LLM(model="gpt-4.1-mini", api_key=key, base_url=f"{base}/v1"),
        tts=elevenlabs.TTS(api_key=key, base_url=f"{base}/v1"),
        vad=ctx.proc.userdata["vad"],
        turn_handling=turn_settings(ctx.job.metadata),
        aec_warmup_duration=None if tuned else NOT_GIVEN,
    )
    instructions = await asyncio.to_thread(Path(os.environ["INSTRUCTIONS"]).read_text)
    await session.start(agent=Agent(instructions=instructions), room=ctx.room)
    await ctx.connect()
    await session.say(os.environ["GREETING"])


def make_server() -> AgentServer:

    def load(server: AgentServer) -> float:
        return len(server.active_jobs) / MOST_CALLS

    server = AgentServer(setup_fnc=prewarm, host="127.0.0.1", port=0, load_fnc=load, load_threshold=0.999)
    server.rtc_session(entrypoint, agent_name=AGENT_NAME)
    return server


async def main(ready: Path) -> None:
    server = make_server()
    server.on("worker_registered", lambda *_: ready.touch())
    running = asyncio.create_task(server.run())
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await over.wait()
    await server.aclose()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
