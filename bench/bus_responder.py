"""The answering process of ``bench.bus``: both methods through switchboard.bus, and the same bytes through bare nats-py.

Started by the bench; its variables are a service's, once for each of the two that it stands for, and the payloads.
"""

from __future__ import annotations

import asyncio
import json
import os
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import SecretStr
from switchboard.bus import Bus, Call
from switchboard.contracts.base import Service
from switchboard.contracts.calls import HEARTBEAT, Heartbeat, HeartbeatReply
from switchboard.contracts.documents import SEARCH, Passage, Search, SearchReply, SearchTimings
from switchboard.sealed import Sealed
from switchboard.settings import NatsSettings, SealingSettings, TelemetrySettings
from switchboard.telemetry import setup

BARE = "rpc.calls.admit.{}"
"""By the name of a case: subjects on which voice-agent may ask and call-orchestrator answer; nobody else does here."""

PASSAGE = "A cleaning costs 95 dollars and takes three quarters of an hour. Children under twelve pay 60 dollars. " * 3


def search_reply() -> SearchReply:
    """Five passages of 300 characters."""
    passages = tuple(
        Passage(
            passage_id=UUID(int=number), document_id=UUID(int=100 + number), document_name=Sealed("Price list"),
            heading=Sealed("Cleaning and check-up"), text=Sealed(PASSAGE), score=0.2 / number, similarity=0.7,
        )
        for number in range(1, 6)
    )  # fmt: skip
    return SearchReply(passages=passages, timings=SearchTimings(embed_ms=3.25, query_ms=2.5))


async def _heartbeat(_body: Heartbeat, _call: Call) -> HeartbeatReply:
    return HeartbeatReply(lease_seconds=15.0)


async def _search(_body: Search, _call: Call) -> SearchReply:
    return search_reply()


async def bare(settings: NatsSettings) -> Client:
    """nats-py as it comes."""
    client = Client()
    password = settings.password.get_secret_value()
    await client.connect(settings.url, user=settings.user, password=password, inbox_prefix=f"_INBOX_{settings.user}")
    return client


async def main() -> None:
    setup("bench-responder", TelemetrySettings.model_validate({}))
    given = json.loads(os.environ["BENCH_BUS"])

    def nats(service: Service) -> NatsSettings:
        return NatsSettings(url=given["url"], user=service.value, password=SecretStr(given["passwords"][service.value]))

    sealing = SealingSettings(master_key=SecretStr(given["master_key"]))
    orchestrator = await Bus.connect(nats(Service.CALL_ORCHESTRATOR), sealing, Service.CALL_ORCHESTRATOR)
    await orchestrator.serve(HEARTBEAT, _heartbeat)
    rag = await Bus.connect(nats(Service.RAG_SVC), sealing, Service.RAG_SVC)
    await rag.serve(SEARCH, _search)
    client = await bare(nats(Service.CALL_ORCHESTRATOR))
    for case, size in given["replies"].items():

        async def answer(msg: Msg, reply: bytes = b"x" * size) -> None:
            await msg.respond(reply)

        await client.subscribe(BARE.format(case), queue=Service.CALL_ORCHESTRATOR.value, cb=answer)
    for bus in (orchestrator, rag):
        await bus.flush()
    await client.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
