"""Links of the chains over livekit's plugins. Imported only when endpoints are configured: the plugins cost a second to load.

Everything a plugin would find in the environment by itself (keys, addresses, organisations) is given here or switched off; it
calls the endpoint's base address and nothing else.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import openai
from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.plugins.cartesia import TTS as CartesiaTTS
from livekit.plugins.deepgram import STT as DeepgramSTT
from livekit.plugins.elevenlabs import TTS as ElevenLabsTTS
from livekit.plugins.openai import LLM as OpenAILLM
from livekit.plugins.openai import TTS as OpenAITTS
from switchboard.contracts.providers import ProviderChoice
from switchboard.settings import ProviderEndpoint

from voice_agent.chains.faults import LinkFailed
from voice_agent.llm.chat import END_CALL, SEARCH, Called, ChatItem, ToolResult

# What they log may quote what was said; the chains report faults themselves.
for _name in ("livekit.plugins", "openai", "httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

for _name in (
    "anyio._backends._asyncio",
    "h11",
    "httpcore2",
    "openai.lib.streaming.chat",
    "openai.pagination",
    "openai.types.chat.completions.message_list_params",
    "openai.lib._chat_completion_resources",
    "openai.resources.chat.chat",
    "openai.resources.chat.completions.completions",
    "openai.resources.chat.completions.messages",
    "truststore",
):
    # What a client of openai loads when it is made and when it is used first: 200 ms, while a caller waits.
    importlib.import_module(_name)

_LONGEST_WAIT = 20.0
"""Seconds; a net under the chains' own deadlines, which are shorter."""

_ONCE = APIConnectOptions(max_retry=0, timeout=_LONGEST_WAIT)
"""No retries inside a plugin: the next link is quicker."""

MAX_REPLY_TOKENS = 300


class Connections:
    """What the links of one call share. ``tls`` is made once a process: it takes a tenth of a second."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._closers: list[Callable[[], Coroutine[Any, Any, None]]] = []

    def session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls, keepalive_timeout=120)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def openai(self, endpoint: ProviderEndpoint) -> openai.AsyncClient:
        client = openai.AsyncClient(
            api_key=endpoint.api_key.get_secret_value(),
            base_url=endpoint.base_url,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(verify=self._tls, timeout=_LONGEST_WAIT, trust_env=False),
        )
        # Both come from variables of the environment when they are left out, and would go to any endpoint.
        client.organization = None
        client.project = None
        self._closers.append(client.close)
        return client

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Closing what may be stuck; nobody waits for it before the call is over."""
        task = asyncio.create_task(work, name="close a provider's stream")
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # that it did not close well is nobody's loss

    async def aclose(self) -> None:
        if self._background:
            await asyncio.wait(self._background, timeout=1.0)
        for task in self._background:
            task.cancel()
        for close in self._closers:
            await close()
        if self._session is not None:
            await self._session.close()


def deepgram_address(base_url: str) -> str:
    """The plugin wants the whole address; a base address may end at the host, at the version or at the method."""
    path = urlsplit(base_url).path
    if path.endswith("/listen"):
        return base_url
    return f"{base_url}/listen" if path.endswith("/v1") else f"{base_url}/v1/listen"


def elevenlabs_address(base_url: str) -> str:
    return base_url if urlsplit(base_url).path.endswith("/v1") else f"{base_url}/v1"


# -- ears ---------------------------------------------------------------------------------------------------------------


class DeepgramEar:
    """``EarLink`` over Deepgram's streaming protocol."""

    def __init__(self, choice: ProviderChoice, endpoint: ProviderEndpoint, deadline: float, wires: Connections) -> None:
        self.endpoint = choice.endpoint
        self.deadline = deadline
        self._stt = DeepgramSTT(
            model=choice.model or "nova-3",
            language="en-US",
            smart_format=False,
            filler_words=False,
            api_key=endpoint.api_key.get_secret_value(),
            base_url=deepgram_address(endpoint.base_url),
            http_session=wires.session(),
            mip_opt_out=True,
        )

    def listen(self, on_settled: Callable[[], None]) -> stt.RecognizeStream:
        stream: stt.RecognizeStream = self._stt.stream(conn_options=_ONCE)
        process = stream._process_stream_event  # type: ignore[attr-defined]

        def noticing(data: dict[str, Any]) -> None:
            process(data)
            # The answer to our flush. Without words in it the plugin says nothing, and a cough would look like a stall.
            if data.get("type") == "Results" and data.get("from_finalize"):
                on_settled()

        stream._process_stream_event = noticing  # type: ignore[attr-defined]
        return stream


# -- models -------------------------------------------------------------------------------------------------------------

_SEARCH_SCHEMA: dict[str, Any] = {
    "name": SEARCH,
    "description": "Search the clinic's documents with other words. Returns further numbered passages.",
    "parameters": {
        "type": "object",
        "properties": {"query": {"type": "string", "description": "a few words to look for"}},
        "required": ["query"],
        "additionalProperties": False,
    },
}
_END_SCHEMA: dict[str, Any] = {
    "name": END_CALL,
    "description": "End the call after your goodbye. Only when the caller has said goodbye.",
    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
}


async def _never_run(raw_arguments: dict[str, object]) -> str:
    del raw_arguments  # the name is what tells the plugin that the schema is ours
    raise AssertionError("the brain carries tools out itself")


_SEARCH_TOOL = llm.function_tool(_never_run, raw_schema=_SEARCH_SCHEMA)
_END_TOOL = llm.function_tool(_never_run, raw_schema=_END_SCHEMA)


class PluginChat:
    """``ChatLink`` over an OpenAI-compatible endpoint."""

    def __init__(self, choice: ProviderChoice, endpoint: ProviderEndpoint, deadline: float, wires: Connections) -> None:
        self.endpoint = choice.endpoint
        self.deadline = deadline
        self._wires = wires
        self._llm = OpenAILLM(
            model=choice.model or "gpt-4.1-mini",
            client=wires.openai(endpoint),
            max_completion_tokens=MAX_REPLY_TOKENS,
            temperature=0.2,
        )

    async def chat(self, items: Sequence[ChatItem], *, may_search: bool) -> AsyncGenerator[str | Called, None]:
        """As ``ChatLink.chat``; an answer that ends in mid-sentence without the closing usage was cut off."""
        tools: list[llm.Tool] = [_SEARCH_TOOL, _END_TOOL] if may_search else [_END_TOOL]
        stream = self._llm.chat(chat_ctx=_context(items), tools=tools, conn_options=_ONCE)
        text, called, counted = "", False, False
        try:
            async for chunk in stream:
                counted = counted or chunk.usage is not None
                if chunk.delta is None:
                    continue
                if chunk.delta.content:
                    text += chunk.delta.content
                    yield chunk.delta.content
                for call in chunk.delta.tool_calls:
                    called = True
                    yield Called(call.name, call.call_id, call.arguments, _query(call.arguments))
        finally:
            self._wires.later(stream.aclose())
        if not counted and not called and not text.rstrip().endswith((".", "!", "?")):
            raise LinkFailed("cut_off" if text else "bad_answer")

    async def probe(self) -> bool:
        """Whether a token comes in time."""
        stream = self.chat([("user", "Say OK.")], may_search=False)
        try:
            await asyncio.wait_for(anext(stream), self.deadline)
        finally:
            await stream.aclose()
        return True


def _query(arguments: str) -> str:
    try:
        query = json.loads(arguments).get("query", "")
    except (ValueError, AttributeError):
        return ""
    return query if isinstance(query, str) else ""


def _context(items: Sequence[ChatItem]) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    for item in items:
        if isinstance(item, ToolResult):
            call = item.call
            context.insert(llm.FunctionCall(call_id=call.call_id, name=call.name, arguments=call.arguments))
            context.insert(
                llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output=item.text, is_error=False)
            )
        else:
            role, text = item
            context.add_message(role=role, content=text)
    return context


# -- voices -------------------------------------------------------------------------------------------------------------


class PluginVoice:
    """``VoiceLink`` over any TTS of livekit's; ``make`` builds it anew when its connections may be stuck."""

    def __init__(self, endpoint: str, deadline: float, make: Callable[[], tts.TTS[Any]], wires: Connections) -> None:
        self.endpoint = endpoint
        self.deadline = deadline
        self._make = make
        self._wires = wires
        self._tts: tts.TTS[Any] | None = None

    async def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        """As ``VoiceLink.speak``."""
        if self._tts is None:
            self._tts = self._make()
        stream: tts.SynthesizeStream | tts.ChunkedStream
        if self._tts.capabilities.streaming:
            stream = self._tts.stream(conn_options=_ONCE)
            stream.push_text(text)
            stream.end_input()
        else:
            stream = self._tts.synthesize(text, conn_options=_ONCE)
        try:
            async for audio in stream:
                yield audio.frame
        finally:
            self._wires.later(stream.aclose())

    def renew(self) -> None:
        if self._tts is not None:
            self._wires.later(self._tts.aclose())
            self._tts = None

    async def probe(self) -> bool:
        """Whether sound comes in time."""
        stream = self.speak("Hello.")
        try:
            await asyncio.wait_for(anext(stream), self.deadline)
        except BaseException:
            self.renew()
            raise
        finally:
            await stream.aclose()
        return True


def voice(choice: ProviderChoice, endpoint: ProviderEndpoint, deadline: float, wires: Connections) -> PluginVoice:
    """The link for an endpoint of kind openai, elevenlabs or cartesia. Raw PCM: nothing to decode."""
    key = endpoint.api_key.get_secret_value()

    def make() -> tts.TTS[Any]:
        made: tts.TTS[Any]
        if endpoint.kind == "elevenlabs":
            options: dict[str, Any] = {"voice_id": choice.voice} if choice.voice else {}
            made = ElevenLabsTTS(
                model=choice.model or "eleven_turbo_v2_5",
                api_key=key,
                base_url=elevenlabs_address(endpoint.base_url),
                encoding="pcm_24000",
                http_session=wires.session(),
                **options,
            )
        elif endpoint.kind == "cartesia":
            options = {"voice": choice.voice} if choice.voice else {}
            made = CartesiaTTS(
                model=choice.model or "sonic-3",
                api_key=key,
                base_url=endpoint.base_url,
                http_session=wires.session(),
                **options,
            )
        else:
            made = OpenAITTS(
                model=choice.model or "gpt-4o-mini-tts",
                voice=choice.voice or "alloy",
                client=wires.openai(endpoint),
                response_format="pcm",
            )
        return made

    return PluginVoice(choice.endpoint, deadline, make, wires)
