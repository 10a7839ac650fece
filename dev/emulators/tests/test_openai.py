"""OpenAI's protocol, as openai's own client and the livekit plugin speak it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import openai
import pytest
import pytest_asyncio
from emulators.behaviour import FaultKind
from emulators.client import EmulatorsClient
from emulators.server import Emulators
from emulators.testing import KEY
from livekit.agents import APIConnectionError, APIError, APIStatusError, APITimeoutError, llm
from livekit.agents.types import APIConnectOptions
from livekit.plugins import openai as plugin

pytestmark = pytest.mark.integration

PRICES = '<passage n="1" heading="Prices">\nVelora peel ..... $129\nDental cleaning ..... $85\n</passage>'
MESSAGES: Any = [{"role": "system", "content": PRICES}, {"role": "user", "content": "How much is a dental cleaning?"}]
ANSWER = "Dental cleaning costs 85 dollars."
ONCE = APIConnectOptions(max_retry=0, timeout=2.0)


@pytest_asyncio.fixture
async def model(emulators: Emulators) -> AsyncIterator[plugin.LLM]:
    made = plugin.LLM(model="gpt-4.1-mini", api_key=KEY, base_url=f"{emulators.url}/v1")
    yield made
    await made.aclose()


def conversation(system: str = PRICES, said: str = "How much is a dental cleaning?") -> llm.ChatContext:
    context = llm.ChatContext.empty()
    context.add_message(role="system", content=system)
    context.add_message(role="user", content=said)
    return context


async def heard(model: plugin.LLM, context: llm.ChatContext, into: list[str], **more: Any) -> None:
    """What the plugin hands on, token by token."""
    async with model.chat(chat_ctx=context, conn_options=ONCE, **more) as stream:
        async for chunk in stream:
            if chunk.delta and chunk.delta.content:
                into.append(chunk.delta.content)


@llm.function_tool
async def search_documents(query: str) -> str:
    """Search the clinic's documents."""
    return query


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)

    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_streamed_answer_comes_in_tokens_with_its_usage_last(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-4.1-mini", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len(texts) > 5
    assert "".join(text or "" for text in texts) == ANSWER
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


async def test_a_limit_of_tokens_cuts(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES, max_completion_tokens=2)

    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "Dental cleaning"


async def test_the_plugin_calls_a_tool_and_answers_from_its_result(model: plugin.LLM, admin: EmulatorsClient) -> None:
    context = conversation("You are a receptionist.")
    calls: list[llm.FunctionToolCall] = []
    async with model.chat(chat_ctx=context, tools=[search_documents], conn_options=ONCE) as stream:
        async for chunk in stream:
            calls += chunk.delta.tool_calls if chunk.delta else []
    (call,) = calls
    assert (call.name, json.loads(call.arguments)) == ("search_documents", {"query": "How much is a dental cleaning?"})

    context.items.append(llm.FunctionCall(call_id=call.call_id, name=call.name, arguments=call.arguments))
    output = json.dumps({"passages": [{"heading": "Prices", "text": "Dental cleaning ..... $85"}]})
    context.items.append(llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output=output, is_error=False))
    tokens: list[str] = []
    await heard(model, context, tokens, tools=[search_documents])

    assert "".join(tokens) == ANSWER
    asked = await admin.asked("chat")
    assert asked.requests == 2
    assert [message["role"] for message in asked.last[-1].fields["messages"]] == ["system", "user", "assistant", "tool"]
    assert KEY not in asked.model_dump_json()


async def test_the_plugin_can_warm_its_connection(client: openai.AsyncOpenAI) -> None:
    names = {model.id async for model in client.models.list()}

    assert {"gpt-4.1-mini", "text-embedding-3-small", "gpt-4o-mini-tts"} <= names


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("stall", APITimeoutError, 0),
        ("reset", APIConnectionError, 1),
        ("rate_limited", APIStatusError, 0),
        ("error", APIStatusError, 0),
        ("garbage", APIConnectionError, 1),
    ],
)
async def test_each_fault_as_the_plugin_sees_it(
    model: plugin.LLM, admin: EmulatorsClient, kind: FaultKind, error: type[APIError], words: int
) -> None:
    await admin.fault("chat", kind, count=1)

    tokens: list[str] = []
    with pytest.raises(error) as failure:
        await heard(model, conversation(), tokens)
    assert len(tokens) == words
    if isinstance(failure.value, APIStatusError):
        assert failure.value.status_code == (429 if kind == "rate_limited" else 500)

    after: list[str] = []
    await heard(model, conversation(), after)
    assert "".join(after) == ANSWER


async def test_half_an_answer_ends_as_if_it_were_whole(model: plugin.LLM, admin: EmulatorsClient) -> None:
    await admin.fault("chat", "half", count=1, after=3)

    tokens: list[str] = []
    await heard(model, conversation(), tokens)

    assert "".join(tokens) == "Dental cleaning costs"


async def test_a_reset_is_one_on_the_wire(emulators: Emulators, admin: EmulatorsClient) -> None:
    await admin.fault("chat", "reset", count=1, after=0)
    body = json.dumps({"model": "gpt-4.1-mini", "messages": MESSAGES, "stream": True})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", emulators.port)
    writer.write(f"{head}\r\n\r\n{body}".encode())

    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_a_stall_in_mid_answer(model: plugin.LLM, admin: EmulatorsClient) -> None:
    await admin.fault("chat", "stall", count=1, after=2)

    tokens: list[str] = []
    with pytest.raises(APITimeoutError):
        await heard(model, conversation(), tokens)
    assert tokens == ["Dental", " cleaning"]


async def test_a_refusal_says_when_to_come_again(client: openai.AsyncOpenAI, admin: EmulatorsClient) -> None:
    await admin.fault("chat", "rate_limited", count=1, retry_after_s=7)

    with pytest.raises(openai.RateLimitError) as refusal:
        await client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
    assert refusal.value.response.headers["retry-after"] == "7"
    assert refusal.value.code == "rate_limit_exceeded"


async def test_a_wrong_key_is_refused(emulators: Emulators, admin: EmulatorsClient) -> None:
    async with openai.AsyncOpenAI(api_key="sk-wrong-key", base_url=f"{emulators.url}/v1", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refusal:
            await stranger.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES)
        with pytest.raises(openai.AuthenticationError):
            await stranger.embeddings.create(model="text-embedding-3-small", input="hello")
        with pytest.raises(openai.AuthenticationError):
            await stranger.audio.speech.create(model="tts-1", voice="alloy", input="hello")

    assert refusal.value.code == "invalid_api_key"
    assert "wrong-key" not in str(refusal.value)
    assert (await admin.asked("chat")).requests == 0
    assert (await admin.asked("chat")).refused == 1


async def test_an_unknown_argument_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Unrecognized request argument supplied: temprature"):
        await client.chat.completions.create(model="gpt-4.1-mini", messages=MESSAGES, extra_body={"temprature": 1})
    with pytest.raises(openai.BadRequestError, match=r"Unknown parameter: 'messages\[0\]\.contnt'"):
        wrong: Any = [{"role": "user", "content": "hello", "contnt": "x"}]
        await client.chat.completions.create(model="gpt-4.1-mini", messages=wrong)
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        await client.embeddings.create(model="text-embedding-3-small", input="hello", dimensions=5000)
    with pytest.raises(openai.NotFoundError, match="gpt-99"):
        await client.chat.completions.create(model="gpt-99", messages=MESSAGES)
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        await client.responses.create(model="gpt-4.1", input="hello")


async def test_vectors_near_in_meaning_are_near(client: openai.AsyncOpenAI) -> None:
    texts = ["how much is a cleaning", "what does a dental cleaning cost", "where can I park my car"]
    made = await client.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=384)

    one, two, three = (np.array(entry.embedding) for entry in made.data)
    assert one @ two > one @ three + 0.2
    assert float(np.linalg.norm(one)) == pytest.approx(1, abs=1e-5)


async def test_both_encodings_are_the_same_vector(client: openai.AsyncOpenAI) -> None:
    plain = await client.embeddings.create(model="text-embedding-3-small", input="hello", encoding_format="float")
    packed = await client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input="hello", encoding_format="base64"
    )

    raw = base64.b64decode(json.loads(packed.text)["data"][0]["embedding"])
    assert len(plain.data[0].embedding) == 1536
    assert np.allclose(np.frombuffer(raw, "<f4"), plain.data[0].embedding)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", openai.APIConnectionError),
        ("stall", openai.APITimeoutError),
        ("rate_limited", openai.RateLimitError),
        ("error", openai.InternalServerError),
        ("garbage", ValueError),
        ("half", ValueError),
    ],
)
async def test_each_fault_of_the_embeddings(
    client: openai.AsyncOpenAI, admin: EmulatorsClient, kind: FaultKind, error: type[Exception]
) -> None:
    await admin.fault("embeddings", kind, count=1)
    patient = client.with_options(timeout=2.0)

    with pytest.raises(error):
        await patient.embeddings.create(model="text-embedding-3-small", input="hello")
    assert len((await patient.embeddings.create(model="text-embedding-3-small", input="hello")).data) == 1
