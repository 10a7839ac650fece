"""What POST /v1/chat/completions may be asked: the part of OpenAI's request that a gpt-4 model understands.

A parameter that isn't here is refused as unknown; one that the emulator can't honour is refused by its value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from emulators.behaviour import Strict
from emulators.protocols.openai_errors import Refused, unknown_model

CHAT_MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini")


class TextPart(Strict):
    type: Literal["text"]
    text: str


Content = str | list[TextPart]


class FunctionCall(Strict):
    name: str
    arguments: str


class ToolCall(Strict):
    id: str
    type: Literal["function"]
    function: FunctionCall


class Instruction(Strict):
    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class User(Strict):
    role: Literal["user"]
    content: Content
    name: str | None = None


class Assistant(Strict):
    role: Literal["assistant"]
    content: Content | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None


class ToolResult(Strict):
    role: Literal["tool"]
    content: Content
    tool_call_id: str


Message = Annotated[Instruction | User | Assistant | ToolResult, Field(discriminator="role")]


def text_of(content: Content | None) -> str:
    """The words of a message, however its content is written."""
    if content is None:
        return ""
    return content if isinstance(content, str) else "\n".join(part.text for part in content)


class FunctionDefinition(Strict):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    strict: bool | None = None


class Tool(Strict):
    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Strict):
    name: str


class NamedTool(Strict):
    type: Literal["function"]
    function: NamedFunction


class StreamOptions(Strict):
    include_usage: bool = False
    include_obfuscation: bool = True


class ResponseFormat(Strict):
    type: Literal["text"]


class ChatRequest(Strict):
    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: Literal["auto", "default"] | None = None


def check(request: ChatRequest) -> None:
    """What the schema can't say. Raises Refused."""
    if request.model not in CHAT_MODELS:
        raise unknown_model(request.model)
    if request.stream_options is not None and not request.stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Refused(400, message, param="stream_options")
    if request.tools == []:
        message = "[] is too short - 'tools'"
        raise Refused(400, message, param="tools", code="empty_array")
    if not request.tools and request.tool_choice not in (None, "none"):
        message = "'tool_choice' is only allowed when 'tools' are specified."
        raise Refused(400, message, param="tool_choice")
    if isinstance(request.tool_choice, NamedTool):
        names = {tool.function.name for tool in request.tools or ()}
        if request.tool_choice.function.name not in names:
            message = f"Tool choice '{request.tool_choice.function.name}' not found in 'tools' parameter."
            raise Refused(400, message, param="tool_choice")
    _check_order(request.messages)


def _check_order(messages: list[Message]) -> None:
    """A call of a tool and its results belong together."""
    awaited: set[str] = set()
    for at, message in enumerate(messages):
        if isinstance(message, ToolResult):
            if message.tool_call_id not in awaited:
                raise Refused(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{at}].role",
                )
            awaited.discard(message.tool_call_id)
            continue
        _none_awaited(awaited, at)
        if isinstance(message, Assistant):
            awaited = {call.id for call in message.tool_calls or ()}
            if not awaited and message.content is None and message.refusal is None:
                message_ = "Invalid value for 'content': expected a string, got null."
                raise Refused(400, message_, param=f"messages.[{at}].content")
    _none_awaited(awaited, len(messages))


def _none_awaited(awaited: set[str], at: int) -> None:
    if awaited:
        raise Refused(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(sorted(awaited))}",
            param=f"messages.[{at}].role",
        )
