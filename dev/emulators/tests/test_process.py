"""The process and its operator's face."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import aiohttp
import openai
import pytest
from emulators.behaviour import Behaviour, Fault
from emulators.client import AdminError, EmulatorsClient
from emulators.server import Emulators
from emulators.testing import Models

pytestmark = pytest.mark.integration


async def test_the_process_says_where_it_is_and_ends_when_told(emulator_models: Models) -> None:
    folders = ("--embeddings", str(emulator_models.embeddings), "--cache", str(emulator_models.cache))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulators", *folders,
        env={**os.environ, "EMULATORS_KEY": "k"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    where = json.loads(await process.stdout.readline())
    async with EmulatorsClient.open(where["admin_url"]) as admin:
        assert (await admin.asked("chat")).requests == 0
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{where['url']}/v1", max_retries=0) as client:
        assert [model async for model in client.models.list()]
    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 0


async def test_without_a_key_it_does_not_start() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "EMULATORS_KEY"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulators", "--embeddings", "x", "--cache", "x",
        env=environment, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert b"EMULATORS_KEY" in errors


async def test_the_state_tells_what_is_left(admin: EmulatorsClient, client: openai.AsyncOpenAI) -> None:
    behaviour = Behaviour(faults=(Fault(kind="error", count=2), Fault(kind="half")))
    await admin.behave("embeddings", behaviour)
    with pytest.raises(openai.InternalServerError):
        await client.embeddings.create(model="text-embedding-3-small", input="hello")

    state = await admin.state("embeddings")

    assert state.behaviour == behaviour
    assert [(fault.kind, fault.count) for fault in state.left] == [("error", 1), ("half", None)]
    assert (state.asked.requests, state.asked.last[0].fault) == (1, "error")
    await admin.forget()
    assert (await admin.asked("embeddings")).requests == 0
    await admin.calm()
    assert (await admin.state("embeddings")).left == ()


async def test_a_wrong_order_is_refused_by_name(emulators: Emulators, admin: EmulatorsClient) -> None:
    with pytest.raises(AdminError, match="no face 'chta'"):
        await admin.state("chta")  # type: ignore[arg-type]
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{emulators.admin_url}/faces/chat", json={"latnecy": {}}) as answer:
            assert (answer.status, "latnecy" in await answer.text()) == (422, True)
        async with session.put(f"{emulators.admin_url}/words", data="{") as answer:
            assert answer.status == 422


async def test_the_loop_stays_quick_while_words_are_learnt(admin: EmulatorsClient, client: openai.AsyncOpenAI) -> None:
    """Answers go on while a language model is built: it isn't built in this process."""
    teaching = asyncio.create_task(admin.teach(["# Prices\n" + "\n".join(f"Item {n} ..... ${n}" for n in range(40))]))
    answered = 0
    while not teaching.done():
        await client.models.list()
        answered += 1
    await teaching

    assert answered > 3
