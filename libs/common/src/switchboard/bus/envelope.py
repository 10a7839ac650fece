"""How contracts become messages and back.

The payload is the contract's JSON, nothing around it. The envelope is the headers:

===========================  ==========================================================
``Switchboard-Contract``     name and version, e.g. ``calls.turn/1``
``Switchboard-Source``       the service that wrote it
``Switchboard-Actor``        requests: on whose behalf, JSON
``Switchboard-Deadline``     requests: Unix milliseconds after which nobody waits
``Switchboard-Error``        replies: present when the payload is an error
``Switchboard-Message-Id``   facts: the message id (UUIDv7, hex), the inbox key
``Nats-Msg-Id``              facts: what the broker recognises copies by; the same id
``traceparent``              W3C trace context
===========================  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError

from switchboard.contracts.base import CallFact, Contract, DocumentFact, Fact, Live, Service
from switchboard.errors import FieldProblem, InvalidInput
from switchboard.sealed import Cipher, SealContext
from switchboard.subjects import parse_fact

CONTRACT = "Switchboard-Contract"
SOURCE = "Switchboard-Source"
ACTOR = "Switchboard-Actor"
DEADLINE = "Switchboard-Deadline"
ERROR = "Switchboard-Error"
MESSAGE_ID = "Switchboard-Message-Id"
BROKER_ID = "Nats-Msg-Id"

MAX_PAYLOAD = 1_000_000
"""nats-server's default limit is 1 MiB with headers; larger things go by reference."""

ContractT = TypeVar("ContractT", bound=Contract)


@dataclass(frozen=True, slots=True)
class Message:
    """A fact ready to be stored in an outbox or sent."""

    id: UUID
    subject: str
    payload: bytes
    headers: Mapping[str, str]


def encode(body: Contract, cipher: Cipher, purpose: str) -> bytes:
    """The JSON of ``body`` with its sealed fields encrypted."""
    payload = body.model_dump_json(context=SealContext(cipher, purpose)).encode()
    if len(payload) > MAX_PAYLOAD:
        raise InvalidInput(f"{purpose} is larger than {MAX_PAYLOAD} bytes; send it by reference")
    return payload


def decode(model: type[ContractT], payload: bytes, cipher: Cipher, purpose: str) -> ContractT:
    """``payload`` as ``model``; :class:`InvalidInput` that names the fields, never their values."""
    try:
        return model.model_validate_json(payload, context=SealContext(cipher, purpose))
    except ValidationError as error:
        raise invalid_input(error, purpose) from None


def invalid_input(error: ValidationError, what: str) -> InvalidInput:
    """A pydantic error as ours: JSON pointers and messages, no values."""
    problems = [
        FieldProblem("/" + "/".join(str(part) for part in detail["loc"]), detail["msg"].removeprefix("Value error, "))
        for detail in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return InvalidInput(f"{what} has {len(problems)} wrong field(s)", fields=problems)


def encode_fact(fact: Fact, message_id: UUID, source: Service, cipher: Cipher) -> Message:
    """``fact`` as a message; refuses one that ``source`` may not publish, before any I/O."""
    if source not in fact.publishers:
        raise InvalidInput(f"{source} does not publish {fact.contract()}")
    headers = {CONTRACT: fact.contract(), SOURCE: source.value, MESSAGE_ID: message_id.hex}
    return Message(message_id, fact.subject(), encode(fact, cipher, fact.contract()), headers)


def encode_live(live: Live, cipher: Cipher) -> bytes:
    return encode(live, cipher, live.contract())


def check_subject(fact: Fact, subject: str) -> None:
    """The subject must name the tenant and the entity of the payload: a message can't be moved to another tenant."""
    parsed = parse_fact(subject)
    entity: UUID | None = None
    if isinstance(fact, CallFact):
        entity = fact.call_id
    elif isinstance(fact, DocumentFact):
        entity = fact.document_id
    if parsed.tenant_id != fact.tenant() or parsed.entity_id != entity or parsed.fact != fact.fact:
        raise InvalidInput("the subject and the message name different tenants or entities")
