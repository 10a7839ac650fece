"""What the conversation core takes and gives: state, events, effects. All of it can be written down and read back."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from switchboard.contracts.calls import EndReason, TurnKind, TurnTimings
from switchboard.contracts.providers import ProviderFault


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Heard(Frozen):
    """One thing that the caller may have said; ``confidence`` 0..1."""

    text: str
    confidence: float = Field(ge=0, le=1)


Json = dict[str, Any]
"""What an ear or a brain wants to find again; the core only carries it."""


class Source(Frozen):
    """A passage that retrieval returned. ``score`` is the fused rank score, ``similarity`` a cosine."""

    passage_id: UUID
    document_id: UUID
    document_name: str
    heading: str
    text: str
    score: float
    similarity: float


class Exchange(Frozen):
    """One finished turn. ``heard`` is what the caller really heard of ``said``."""

    turn: int
    kind: TurnKind
    caller: str
    said: str
    heard: str
    interrupted: bool


class OpenTurn(Frozen):
    """The turn that is being worked on or spoken.

    ``parts`` is how many pieces of a reply that comes in pieces have come; ``unfinished`` while more are awaited.
    """

    utterance: int
    kind: TurnKind | None = None
    caller: tuple[Heard, ...] = ()
    detail: tuple[Json, ...] = ()
    sources: tuple[Source, ...] = ()
    cited: UUID | None = None
    saying: str = ""
    parts: int = 0
    unfinished: bool = False
    faults: tuple[ProviderFault, ...] = ()
    timings: TurnTimings = TurnTimings()


class State(Frozen):
    """Everything that the conversation is. A replacement job goes on from here."""

    version: Literal[1] = 1
    configuration_version: int
    phase: Literal["waiting", "talking", "closing", "over"] = "waiting"
    turn: int = 0
    utterance: int = 0
    asked_again: int = 0
    silences: int = 0
    memory: Json = Field(default_factory=dict)
    open: OpenTurn | None = None
    history: tuple[Exchange, ...] = ()
    end_reason: EndReason | None = None


# -- events -------------------------------------------------------------------------------------------------------------


class Answered(Frozen):
    """The caller can hear us. ``greeting`` is what to say first."""

    type: Literal["answered"] = "answered"
    greeting: str


class NoticeDue(Frozen):
    """The call is answered only to say one thing."""

    type: Literal["notice_due"] = "notice_due"
    text: str
    reason: EndReason


class CallerSpoke(Frozen):
    """The caller's turn is over. ``heard`` best first; empty when nothing could be made out.

    ``detail`` is the ear's own account of each piece of speech, for a brain that can use it.
    """

    type: Literal["caller_spoke"] = "caller_spoke"
    heard: tuple[Heard, ...]
    detail: tuple[Json, ...] = ()
    faults: tuple[ProviderFault, ...] = ()
    timings: TurnTimings = TurnTimings()


class Found(Frozen):
    """What a look-up brought: passages, best first, and the providers whose embeddings could not be had for it."""

    sources: tuple[Source, ...] = ()
    faults: tuple[ProviderFault, ...] = ()


class PassagesFound(Frozen):
    type: Literal["passages_found"] = "passages_found"
    utterance: int
    sources: tuple[Source, ...]
    faults: tuple[ProviderFault, ...] = ()
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None


class RetrievalFailed(Frozen):
    type: Literal["retrieval_failed"] = "retrieval_failed"
    utterance: int


class ReplyReady(Frozen):
    """What to say; ``cited`` is the passage it was taken from. ``memory`` comes back with the next question."""

    type: Literal["reply_ready"] = "reply_ready"
    utterance: int
    kind: TurnKind
    text: str
    cited: UUID | None = None
    memory: Json = Field(default_factory=dict)
    first_token: AwareDatetime | None = None


class ReplyPart(Frozen):
    """A piece of a reply, a sentence or more, in order from ``index`` 0; ``last`` may come with no text.

    ``kind``, ``cited``, ``sources`` (passages found while answering) and ``memory`` hold for the reply as far as it has
    come; ``faults`` are those since the part before.
    """

    type: Literal["reply_part"] = "reply_part"
    utterance: int
    index: int = Field(ge=0)
    kind: TurnKind
    text: str
    last: bool
    cited: UUID | None = None
    sources: tuple[Source, ...] = ()
    memory: Json = Field(default_factory=dict)
    faults: tuple[ProviderFault, ...] = ()
    first_token: AwareDatetime | None = None


class SpeechEnded(Frozen):
    """Our speech is over: all said, or cut off by the caller.

    ``added`` is what the voice said beyond what it was given (its own apology); it is part of ``heard`` too.
    """

    type: Literal["speech_ended"] = "speech_ended"
    utterance: int
    heard: str
    interrupted: bool
    added: str = ""
    faults: tuple[ProviderFault, ...] = ()
    first_audio: AwareDatetime | None = None
    stopped: AwareDatetime | None = None


class CallerSilent(Frozen):
    type: Literal["caller_silent"] = "caller_silent"


class TimeIsUp(Frozen):
    type: Literal["time_is_up"] = "time_is_up"


class CallerLeft(Frozen):
    type: Literal["caller_left"] = "caller_left"
    reason: EndReason


Event = Annotated[
    Answered
    | NoticeDue
    | CallerSpoke
    | PassagesFound
    | RetrievalFailed
    | ReplyReady
    | ReplyPart
    | SpeechEnded
    | CallerSilent
    | TimeIsUp
    | CallerLeft,
    Field(discriminator="type"),
]


# -- effects ------------------------------------------------------------------------------------------------------------


class Say(Frozen):
    """Speak ``text``; report its end with ``utterance``. ``more``: ``SayMore`` of the same utterance follows."""

    type: Literal["say"] = "say"
    utterance: int
    kind: TurnKind
    text: str
    source: Source | None = None
    more: bool = False


class SayMore(Frozen):
    """Go on with the utterance; ``text`` may be empty when it is the ``last``."""

    type: Literal["say_more"] = "say_more"
    utterance: int
    text: str
    last: bool


class Retrieve(Frozen):
    """Look up; ``queries`` best first."""

    type: Literal["retrieve"] = "retrieve"
    utterance: int
    queries: tuple[str, ...]


class Respond(Frozen):
    """Find words. ``tries_left`` is how often the caller may still be asked to repeat; ``memory`` is the brain's own.

    ``history``: the turns before, oldest first, with what was really heard of each.
    """

    type: Literal["respond"] = "respond"
    utterance: int
    heard: tuple[Heard, ...]
    detail: tuple[Json, ...]
    sources: tuple[Source, ...]
    tries_left: int
    memory: Json
    last_said: str
    history: tuple[Exchange, ...] = ()


class TurnDone(Frozen):
    """A turn to be recorded; the state is to be saved after it."""

    type: Literal["turn_done"] = "turn_done"
    turn: int
    open: OpenTurn
    heard: str
    interrupted: bool


class HangUp(Frozen):
    type: Literal["hang_up"] = "hang_up"
    reason: EndReason


Effect = Annotated[Say | SayMore | Retrieve | Respond | TurnDone | HangUp, Field(discriminator="type")]
