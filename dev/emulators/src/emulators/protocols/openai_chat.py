"""POST /v1/chat/completions, streamed or whole, and GET /v1/models."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from emulators.answering import Reply, reply_to
from emulators.behaviour import REFUSALS, Flow
from emulators.context import Context
from emulators.protocols import openai_errors
from emulators.protocols.openai_chat_models import CHAT_MODELS, ChatRequest, check, text_of
from emulators.protocols.openai_embeddings import EMBEDDING_MODELS
from emulators.protocols.openai_errors import Refused
from emulators.protocols.openai_speech import SPEECH_MODELS
from emulators.wire import HttpWire, of

_FINGERPRINT = "fp_emulated"
_TOKEN = re.compile(r"\s*\S+|\s+")


class Chat:
    """The chat model's HTTP face."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self.complete), web.get("/v1/models", self.models)]

    async def models(self, request: web.Request) -> web.Response:
        """Free of tokens; the livekit plugin warms its connection with it."""
        try:
            openai_errors.check_key(request, self._context.key)
        except Refused as refusal:
            return refusal.response(self._request_id())
        names = [*CHAT_MODELS, *EMBEDDING_MODELS, *SPEECH_MODELS]
        data = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "system"} for name in names]
        return web.json_response({"object": "list", "data": data})

    def _request_id(self) -> str:
        return f"req_{self._context.name(32)}"

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answers like the provider, or as its behaviour says."""
        context = self._context
        try:
            openai_errors.check_key(request, context.key)
            asked = await openai_errors.read(request, ChatRequest)
            check(asked)
        except Refused as refusal:
            context.record.refused("chat", request.path, str(refusal))
            return refusal.response(self._request_id())
        flow = context.behaviours.begin("chat")
        flow.asked()
        fields = asked.model_dump(mode="json", exclude_none=True)
        context.record.request("chat", request.path, fields, flow.fault.kind if flow.fault else None)
        if flow.fault is not None and flow.fault.kind in REFUSALS:
            await flow.pause(first=True)
            return openai_errors.of_fault(flow.fault).response(self._request_id())
        reply = await asyncio.to_thread(reply_to, asked, random.Random(context.rng.random()))
        completion = Completion(asked, reply, f"chatcmpl-{context.name(29)}", context.created)
        headers = {"x-request-id": self._request_id(), "openai-processing-ms": "1"}
        if asked.stream:
            return await self._stream(request, completion, flow, headers)
        return await self._whole(request, completion, flow, headers)

    async def _stream(
        self, request: web.Request, completion: Completion, flow: Flow, headers: dict[str, str]
    ) -> web.StreamResponse:
        garbage = b'data: {"id":"chatcmpl-\n\n'
        wire = HttpWire(request, "text/event-stream; charset=utf-8", headers, garbage)
        if await flow.play(of(completion.events()), wire):
            for event in completion.ending():
                await wire.send(event)
            await wire.end()
        return wire.response

    async def _whole(
        self, request: web.Request, completion: Completion, flow: Flow, headers: dict[str, str]
    ) -> web.StreamResponse:
        body = json.dumps(completion.whole()).encode()
        wire = HttpWire(request, "application/json", headers, b'{"id":')
        # two halves, so that each fault has a middle to strike in
        if await flow.play(of([body[: len(body) // 2], body[len(body) // 2 :]]), wire):
            await wire.end()
        return wire.response


class Completion:
    """One answer in OpenAI's shapes."""

    def __init__(self, asked: ChatRequest, reply: Reply, identity: str, created: int) -> None:
        self._asked = asked
        self._reply = reply
        self._head = {
            "id": identity,
            "created": created,
            "model": asked.model,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
        limit = asked.max_completion_tokens or asked.max_tokens
        self._tokens = _TOKEN.findall(reply.text)[:limit]
        self._cut = limit is not None and len(self._tokens) < len(_TOKEN.findall(reply.text))

    @property
    def _finish(self) -> str:
        return "tool_calls" if self._reply.call else "length" if self._cut else "stop"

    def usage(self) -> dict[str, Any]:
        """Counts in the model's own tokens: about four letters each on the way in, words on the way out."""
        letters = sum(len(text_of(message.content)) for message in self._asked.messages)
        call = self._reply.call
        made = len(self._tokens) + (len(call.arguments.split()) + 4 if call else 0)
        prompt = letters // 4 + 4 * len(self._asked.messages)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": made,
            "total_tokens": prompt + made,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def whole(self) -> dict[str, Any]:
        """The answer at once."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._tokens) or (None if self._reply.call else ""),
            "refusal": None,
            "annotations": [],
        }
        if call := self._reply.call:
            function = {"name": call.name, "arguments": call.arguments}
            message["tool_calls"] = [{"id": call.id, "type": "function", "function": function}]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": self.usage()}

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        body: dict[str, Any] = {**self._head, "object": "chat.completion.chunk", "choices": choices}
        if self._asked.stream_options and self._asked.stream_options.include_usage:
            body["usage"] = usage
        return f"data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}])

    def events(self) -> Iterator[bytes]:
        """The server-sent events up to the end mark. The role comes with the first token, so that each is a token."""
        first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        for at, token in enumerate(self._tokens):
            event = self._delta({"content": token})
            yield self._delta(first) + event if at == 0 else event
        if call := self._reply.call:
            head = {"index": 0, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
            yield self._delta(
                {"tool_calls": [head]} if self._tokens else {**first, "content": None, "tool_calls": [head]}
            )
            for part in re.findall(r".{1,12}", call.arguments, re.S):
                yield self._delta({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})

    def ending(self) -> Iterator[bytes]:
        """What says that the answer is whole."""
        yield self._delta({}, self._finish)
        if self._asked.stream_options and self._asked.stream_options.include_usage:
            yield self._event([], self.usage())
        yield b"data: [DONE]\n\n"
