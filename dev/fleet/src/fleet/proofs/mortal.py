"""``python -m fleet.proofs.mortal module:function``: consumers that are killed at a chosen await of the way of one message.

One process that has imported everything and forks a consumer for each line on its standard input::

    <message id> <number> begun|ended   consume; SIGKILL of itself at that moment of that message's way
    <message id> 0 begun                consume until that message has been handled

and answers each with a line: ``killed``, or ``done <suspensions>`` when the message's way was over before that number.
The way is the whole of it: decoding, the handler with its transaction, the acknowledgement. ``module:function`` gives the
handlers, made of a database and a bus.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from nats.aio.msg import Msg
from switchboard.bus import Bus, Delivery
from switchboard.bus.consumer import ConsumerLoop
from switchboard.bus.envelope import MESSAGE_ID
from switchboard.contracts.base import Fact, Service
from switchboard.contracts.calls import TurnRecorded
from switchboard.db import Database
from switchboard.inbox import Inbox
from switchboard.outbox import Message, Outbox
from switchboard.settings import load_or_exit

from fleet.proofs.awaits import Moment, stepped
from fleet.proofs.relay import Settings

CONSUMER = "call-orchestrator-calls"

Handlers = Callable[[Database, Bus], Mapping[type[Fact], Callable[..., Awaitable[None]]]]


async def consume(settings: Settings, handlers: Handlers, target: UUID, at: int, moment: Moment) -> int:
    """Handle messages until ``target`` is done; the number of its suspensions."""
    done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    whole_way = ConsumerLoop._handle

    async def mortal_way(loop: ConsumerLoop, msg: Msg) -> None:
        if (msg.headers or {}).get(MESSAGE_ID) != target.hex:
            await whole_way(loop, msg)  # one that another consumer died of comes again
            return
        last = 0

        def tell(number: int, now: Moment) -> None:
            nonlocal last
            last = number
            if (number, now) == (at, moment):
                os.kill(os.getpid(), signal.SIGKILL)

        await stepped(whole_way(loop, msg), tell)
        if not done.done():
            done.set_result(last)

    setattr(ConsumerLoop, "_handle", mortal_way)  # noqa: B010 - a plain assignment is no method to mypy
    bus = await Bus.connect(settings.nats, settings.sealing, Service.CALL_ORCHESTRATOR)
    async with Database.open(settings.database, name="mortal") as db:
        bus.consume(handlers(db, bus))
        suspensions = await done
        await bus.drain()
    return suspensions


def effect(db: Database, bus: Bus) -> Mapping[type[Fact], Callable[..., Awaitable[None]]]:
    """A handler of turns with an effect that can be counted: a row in ``public.effects``."""
    return {TurnRecorded: _Effect(db, bus)}


class _Effect:
    """A handler as they all are: the inbox, what is done, and what is said of it, in one transaction."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self._db, self._bus = db, bus

    async def __call__(self, fact: TurnRecorded, delivery: Delivery) -> None:
        assert fact.tenant_id is not None
        async with self._db.tenant(fact.tenant_id) as conn:
            if not await Inbox("calls").first_time(conn, CONSUMER, delivery.message_id):
                return
            await conn.execute("INSERT INTO public.effects VALUES ($1)", delivery.message_id)
            said = Message(self._bus.ids.new(), f"{delivery.subject}.handled", delivery.message_id.bytes, {})
            await Outbox("calls").add(conn, said)


def forked(settings: Settings, handlers: Handlers, target: UUID, at: int, moment: Moment) -> str:
    """One consumer in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, b"%d" % asyncio.run(consume(settings, handlers, target, at, moment)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        suspensions = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGKILL:
        return "killed"
    return f"done {suspensions}" if status == 0 else f"failed with {status}"


def main() -> None:
    settings = load_or_exit(Settings)
    module, _, function = sys.argv[1].partition(":")
    handlers: Handlers = getattr(importlib.import_module(module), function)
    for line in sys.stdin:
        target, at, moment = line.split()
        answer = forked(settings, handlers, UUID(hex=target), int(at), "begun" if moment == "begun" else "ended")
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
