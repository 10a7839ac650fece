"""The search for planted things finds them wherever they may be left, and in whatever form."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from fleet.bus_fixtures import BusServer
from fleet.planted import Kind, Place, Planted, check_complete, found, in_files, in_metrics, on_the_bus
from fleet.process import FleetError
from nats.aio.client import Client
from switchboard.bus.connection import connect
from switchboard.bus.permissions import TOPOLOGY_USER
from switchboard.bus.topology import SNAPSHOTS

pytestmark = pytest.mark.integration

NUMBER = Planted("the number", "+15557654321")
NAME = Planted("the name", "Quillon Abernathy")
SENTENCE = Planted("the sentence", "Does a root canal hurt, and what would it cost me?")
ALL = (NUMBER, NAME, SENTENCE)

TENANT, CALL = "0" * 32, "1" * 32
DEAD = f"dead.{TENANT}.call-orchestrator-calls"
FACT = f"tenants.{TENANT}.calls.{CALL}.turn"


@pytest.mark.parametrize(
    "text",
    [
        "call from +15557654321",
        '{"room":"call-_15557654321_x"}',
        "5557654321",
        "+1 (555) 765-43 21",
        "sip%3A%2B15557654321%40host",
        f"x={base64.b64encode(b'caller: +15557654321').decode()}",
        f"x={base64.urlsafe_b64encode(b'caller: ?>?>+15557654321').decode().rstrip('=')}",
    ],
)
def test_a_number_is_found_in_every_form(text: str) -> None:
    assert found([Place("log", "a.log", text)], ALL) == ["the number stands in log a.log"]


@pytest.mark.parametrize("text", ["QUILLON ABERNATHY", "quillon.abernathy@example.org", quote('"Quillon Abernathy"')])
def test_a_name_is_found_in_every_form(text: str) -> None:
    assert found([Place("span", "a.jsonl", text)], ALL) == ["the name stands in span a.jsonl"]


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE.text,
        '{"said":"ROOT canal hurt,\\nand"}',
        "it-would-say what_would_it_cost here",
        base64.b64encode(SENTENCE.text.encode()).decode(),
    ],
)
def test_any_four_words_of_a_sentence_are_found(text: str) -> None:
    assert found([Place("body", "CALLS 1", text)], ALL) == ["the sentence stands in body CALLS 1"]


@pytest.mark.parametrize(
    "text", ["", "15557654322 1555765432", "Quillon and Abernathy", "a root canal costs", "hurt and what", "9" * 400]
)
def test_what_only_looks_alike_is_not_found(text: str) -> None:
    assert found([Place("log", "a.log", text)], ALL) == []


async def test_files_and_metrics_are_read(tmp_path: Path) -> None:
    for name, text in (("clean.log", "nothing"), ("guilty.log", f"from {NUMBER.text}"), ("empty.log", "")):
        (tmp_path / name).write_text(text)
    left = in_files("log", [tmp_path / name for name in ("clean.log", "empty.log", "guilty.log")])
    assert [place.name for place in left] == ["clean.log", "guilty.log"]
    async with metrics_of(f'calls_total{{from="{NAME.text}"}} 1\n') as url:
        left += await in_metrics({"rag-svc-2": url})
    assert found(left, ALL) == ["the name stands in metric rag-svc-2", "the number stands in log guilty.log"]


@pytest.mark.parametrize("kind", ["log", "span", "metric"])
def test_a_process_that_left_nothing_where_it_is_looked_for_is_named(kind: Kind) -> None:
    names: dict[Kind, str] = {"log": "rag-svc-2.log", "span": "rag-svc-2.jsonl", "metric": "rag-svc-2"}
    left = [Place(each, name, "x") for each, name in names.items()]
    check_complete(left, ["rag-svc-2"])
    with pytest.raises(FleetError, match=f"no {kind} of rag-svc-2"):
        check_complete([place for place in left if place.kind != kind], ["rag-svc-2"])


@asynccontextmanager
async def metrics_of(text: str) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"GET /metrics ")
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def user(bus_server: BusServer, service: str) -> AsyncIterator[Client]:
    """Somebody who may write what the operators may only read."""
    made = await connect(bus_server.settings(service), name=service, inbox=f"_INBOX_{service}")
    try:
        yield made
    finally:
        await made.close()


async def searched(bus_server: BusServer) -> list[str]:
    return found(await on_the_bus(bus_server.settings(TOPOLOGY_USER)), ALL)


async def test_subjects_keys_headers_bodies_and_dead_letters_are_read(bus_server: BusServer) -> None:
    """One thing after the other, each in a place of its own."""
    expected: list[str] = []
    async with bus_server.topology() as client, user(bus_server, "call-orchestrator") as consumer:
        js, buries = client.jetstream(), consumer.jetstream()
        await js.publish(FACT, b"{}", headers={"Switchboard-Source": "voice-agent"})
        await buries.publish(DEAD, b"{}", headers={"Switchboard-Dead-Reason": "invalid-input"})
        assert await searched(bus_server) == []

        await js.publish(FACT, b"{}", headers={"Switchboard-Actor": NUMBER.text})
        expected.append("the number stands in header CALLS 2 headers")
        await js.publish(FACT, SENTENCE.text.encode())
        expected.append("the sentence stands in body CALLS 3 body")
        await js.publish(f"tenants.{TENANT}.calls.Quillon-Abernathy.turn", b"{}")
        expected.append("the name stands in subject CALLS")
        async with user(bus_server, "tenant-svc") as owner:
            await owner.jetstream().publish(f"$KV.{SNAPSHOTS}.15557654321", b"{}")
        expected.append(f"the number stands in subject KV_{SNAPSHOTS}")
        await buries.publish(DEAD, b"{}", headers={"Switchboard-Dead-Reason": f"no such caller: {NAME.text}"})
        expected.append("the name stands in dead letter DEAD 2 headers")
        await buries.publish(DEAD, b'{"words": "%s"}' % SENTENCE.text.encode())
        expected.append("the sentence stands in dead letter DEAD 3 body")
    assert await searched(bus_server) == sorted(expected)
