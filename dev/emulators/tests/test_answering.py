"""What the emulated chat model makes of a conversation."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from emulators import passages
from emulators.answering import Reply, reply_to
from emulators.protocols.openai_chat_models import ChatRequest

pytestmark = pytest.mark.unit

PRICES = (
    '<passage n="1" heading="Prices">\n| Treatment | Price |\n|---|---|\n| Velora peel | $129 |\n'
    "| Dental cleaning | $85 |\n</passage>"
)
PARKING = '<passage n="2">\nQ: Where can I park?\nA: Parking is free behind the building.\n</passage>'
CLINIC = "<clinic>\nName: Harbor Clinic\nToday is Monday, May 4.\nMonday: 09:00 to 17:00\nTuesday: closed\n</clinic>"
TAGGED = "Begin with a tag: [n] for the passage, [none], [again] or [chat].\n"
SEARCH = {
    "name": "search_documents",
    "parameters": {"properties": {"query": {"type": "string"}}, "required": ["query"]},
}
END = {"name": "end_call", "parameters": {"type": "object", "properties": {}}}
WHY = {"properties": {"why": {"type": ["string", "null"]}}, "required": ["why"]}
TRANSFER = {"name": "transfer_to_person", "parameters": WHY}


def ask(system: str, *turns: dict[str, Any], tools: tuple[dict[str, Any], ...] = (), **more: Any) -> Reply:
    body: dict[str, Any] = {"model": "gpt-4.1", "messages": [{"role": "system", "content": system}, *turns], **more}
    if tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools]
    return reply_to(ChatRequest.model_validate(body), random.Random(1))


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call(reply: Reply, result: str) -> list[dict[str, Any]]:
    assert reply.call is not None
    function = {"name": reply.call.name, "arguments": reply.call.arguments}
    made = {"id": reply.call.id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": reply.text or None, "tool_calls": [made]},
        {"role": "tool", "content": result, "tool_call_id": reply.call.id},
    ]


def test_an_answer_is_what_a_passage_says() -> None:
    assert ask(PRICES, user("How much is a dental cleaning?")) == Reply("Dental cleaning costs 85 dollars.")


def test_what_no_passage_says_is_not_known() -> None:
    assert "don't have that" in ask(PRICES, user("Do you repair bicycles?")).text


def test_without_passages_it_calls_the_search_with_the_users_words() -> None:
    reply = ask("You are a receptionist.", user("How much is a velora peel?"), tools=(END, SEARCH))

    assert reply.text == ""
    assert reply.call is not None
    assert reply.call.name == "search_documents"
    assert json.loads(reply.call.arguments) == {"query": "How much is a velora peel?"}


@pytest.mark.parametrize(
    "result",
    [
        PRICES,
        json.dumps({"passages": [{"id": "7", "heading": "Prices", "text": "Velora peel ..... $129"}]}),
        json.dumps([{"title": "Prices", "text": "Velora peel ..... $129"}]),
        "Velora peel ..... $129",
    ],
)
def test_a_result_of_the_search_is_answered_from(result: str) -> None:
    question = user("How much is a velora peel?")
    first = ask("You are a receptionist.", question, tools=(SEARCH,))

    answer = ask("You are a receptionist.", question, *call(first, result), tools=(SEARCH,))

    assert answer == Reply("Velora peel costs 129 dollars.")


@pytest.mark.parametrize("result", ["", "[]", '{"passages": []}', "No passages found.", '{"status": "ok"}'])
def test_an_empty_result_is_not_answered_from(result: str) -> None:
    question = user("How much is a velora peel?")
    first = ask("You are a receptionist.", question, tools=(SEARCH,))

    answer = ask("You are a receptionist.", question, *call(first, result), tools=(SEARCH,))

    assert answer.call is None
    assert "don't have that" in answer.text


def test_a_tool_may_be_forbidden_or_forced() -> None:
    question = user("How much is a velora peel?")

    assert ask("", question, tools=(SEARCH,), tool_choice="none").call is None
    forced = {"type": "function", "function": {"name": "end_call"}}
    named = ask(PRICES, question, tools=(SEARCH, END), tool_choice=forced).call
    assert named is not None
    assert named.name == "end_call"
    required = ask(PRICES, question, tools=(SEARCH, END), tool_choice="required").call
    assert required is not None
    assert required.name == "search_documents"


def test_a_wish_for_a_person_calls_the_tool_that_is_for_it() -> None:
    wish = ask(PRICES, user("Can I talk to a person?"), tools=(SEARCH, TRANSFER)).call

    assert wish is not None
    assert wish.name == "transfer_to_person"
    assert json.loads(wish.arguments) == {"why": None}


def test_what_a_tool_says_is_said() -> None:
    wish = user("Can I talk to a person?")
    first = ask(PRICES, wish, tools=(TRANSFER,))
    told = ask("", wish, *call(first, '{"say": "Nobody is there right now."}'), tools=(TRANSFER,))

    assert told == Reply("Nobody is there right now.")


def test_goodbye_is_said_and_the_call_ended() -> None:
    reply = ask(PRICES, user("Thank you, goodbye"), tools=(SEARCH, END))
    after = ask(PRICES, user("Thank you, goodbye"), *call(reply, "done"), tools=(SEARCH, END))

    assert "Goodbye" in reply.text
    assert reply.call is not None
    assert reply.call.name == "end_call"
    assert after == Reply()


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        ("Where can I park?", "[2] "),
        ("Are you open today?", "[0] "),
        ("Do you repair bicycles?", "[none] "),
        ("How much is the peel?", "[again] "),
        ("Hello", "[chat] "),
    ],
)
def test_a_tag_is_given_where_it_is_asked_for(said: str, tag: str) -> None:
    system = f"{CLINIC}\n<passages>\n{PRICES}\n{PARKING}\n</passages>"

    assert ask(TAGGED + system, user(said)).text.startswith(tag)
    assert not ask(system, user(said)).text.startswith("[")


def test_a_yes_means_what_was_asked() -> None:
    turns = [
        user("How much is the peel?"),
        {"role": "assistant", "content": "Did you ask about Velora peel?"},
        user("Yes"),
    ]

    assert ask(PRICES, *turns) == Reply("Velora peel costs 129 dollars.")


def test_the_clinics_own_words_come_before_a_search() -> None:
    assert "nine o'clock" in ask(CLINIC, user("Are you open today?"), tools=(SEARCH,)).text
    searched = ask(CLINIC, user("How much is a velora peel?"), tools=(SEARCH,)).call
    assert searched is not None


def test_instructions_are_no_passages() -> None:
    assert passages.of_instructions("You are a receptionist.\nA cleaning costs $1.") == []


def test_a_section_of_the_instructions_is() -> None:
    found = passages.of_instructions("Be kind.\n\n## Documents\n[1] Peel ..... $9\n[2] Parking is free.")

    assert [(one.id, one.text) for one in found] == [("1", "Peel ..... $9"), ("2", "Parking is free.")]
