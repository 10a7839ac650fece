"""Dead letters: list, show, send again. ``python -m switchboard.bus.deadletters list|show SEQ|replay SEQ``.

Runs as the topology user: services may write dead letters, only operators read them. Content stays sealed; what is shown is
the envelope.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass

import structlog
from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from switchboard.bus.connection import connect
from switchboard.bus.consumer import DEAD_REASON, DEAD_SUBJECT, DEAD_TRIES
from switchboard.bus.envelope import BROKER_ID, CONTRACT, MESSAGE_ID
from switchboard.bus.topology import DEAD_LETTERS, Settings
from switchboard.errors import NotFound, SwitchboardError
from switchboard.settings import load_or_exit

_OURS = (DEAD_REASON, DEAD_SUBJECT, DEAD_TRIES)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The envelope of one dead letter; ``sequence`` names it in this stream."""

    sequence: int
    contract: str
    consumer: str
    subject: str
    reason: str
    tries: int
    size: int


async def listing(client: Client, limit: int = 100) -> list[DeadLetter]:
    """The newest ``limit`` dead letters, oldest first."""
    js = client.jetstream()
    state = (await js.stream_info(DEAD_LETTERS)).state
    found: list[DeadLetter] = []
    for sequence in range(max(1, state.first_seq, state.last_seq - limit + 1), state.last_seq + 1):
        try:
            found.append(_letter(await js.get_msg(DEAD_LETTERS, sequence)))
        except NotFoundError:
            continue  # replayed ones leave gaps
    return found


async def show(client: Client, sequence: int) -> DeadLetter:
    return _letter(await _get(client, sequence))


async def replay(client: Client, sequence: int) -> None:
    """Publish the message again where it came from, under its own id, then remove the dead letter.

    A consumer that had handled it after all (its inbox has the id) will drop it.
    """
    message = await _get(client, sequence)
    headers = dict(message.headers or {})
    kept = {key: value for key, value in headers.items() if key not in _OURS and not key.startswith("Nats-")}
    # Another broker id: within its window the broker would take the message for a copy of itself and drop it.
    kept[BROKER_ID] = f"{headers.get(MESSAGE_ID, '')}-replay-{sequence}"
    js = client.jetstream()
    await js.publish(headers[DEAD_SUBJECT], message.data or b"", headers=kept)
    await js.delete_msg(DEAD_LETTERS, sequence)


async def _get(client: Client, sequence: int) -> RawStreamMsg:
    try:
        return await client.jetstream().get_msg(DEAD_LETTERS, sequence)
    except NotFoundError:
        raise NotFound(f"there is no dead letter {sequence}") from None


def _letter(message: RawStreamMsg) -> DeadLetter:
    headers = message.headers or {}
    return DeadLetter(
        sequence=message.seq or 0,
        contract=headers.get(CONTRACT, ""),
        consumer=(message.subject or "").rpartition(".")[2],
        subject=headers.get(DEAD_SUBJECT, ""),
        reason=headers.get(DEAD_REASON, ""),
        tries=int(headers.get(DEAD_TRIES, "0")),
        size=len(message.data or b""),
    )


async def run(arguments: argparse.Namespace) -> None:
    settings = load_or_exit(Settings)
    client = await connect(settings.nats, name="deadletters", inbox="_INBOX_topology")
    try:
        if arguments.command == "list":
            for letter in await listing(client, arguments.limit):
                print(json.dumps(asdict(letter)))  # noqa: T201 - an operator's command
        elif arguments.command == "show":
            print(json.dumps(asdict(await show(client, arguments.sequence)), indent=2))  # noqa: T201
        else:
            await replay(client, arguments.sequence)
            print(f"dead letter {arguments.sequence} was sent again")  # noqa: T201
    finally:
        await client.drain()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m switchboard.bus.deadletters", description="Dead letters of the bus"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the newest dead letters").add_argument("--limit", type=int, default=100)
    commands.add_parser("show", help="one dead letter's envelope").add_argument("sequence", type=int)
    commands.add_parser("replay", help="send one again, then remove it").add_argument("sequence", type=int)
    # What is printed is for other programs too: logs don't stand between.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(run(parser.parse_args()))
    except SwitchboardError as error:
        raise SystemExit(error.detail) from None


if __name__ == "__main__":
    main()
