"""Two relays of one outbox, of which one is killed again and again, and no notices: the consumer has every fact of a call
in the order ``(epoch, seq)``."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from fleet.proofs.outboxes import Journey
from fleet.prove import Tried

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("BUS_RELAY_KILLS", "4"))
CALLS = 4
EPOCHS = (1, 2, 3)
SEED = 20260302
LAST = [(EPOCHS[-1] + 1, seq) for seq in range(1, 4)]


@pytest.mark.parametrize("deaf", [False, True], ids=["with notices", "all notices lost"])
async def test_two_relays_one_of_them_killed_keep_the_order(
    journey: Journey, deaf: bool, record_property: Tried
) -> None:
    """Relays are processes; the kill is SIGKILL, at a moment that the seed chooses by what has arrived."""
    chance = random.Random(SEED)
    host = journey.bus_server.host
    arguments = ["--deaf"] if deaf else []
    await host.astart(*(journey.relay(name, *arguments) for name in ("relay-1", "relay-2")))
    places = [(epoch, seq) for epoch in EPOCHS for seq in range(1, 12 * KILLS + 1)]
    calls = [journey.orchestrator.ids.new() for _ in range(CALLS)]
    everything = len(places) * len(calls)

    async with asyncio.TaskGroup() as group:
        for call_id in calls:
            group.create_task(journey.say_all(call_id, places))
        seen = 0
        for _ in range(KILLS):
            seen = min(seen + chance.randrange(10, 60), everything)
            await journey.until_seen(seen)
            victim = chance.choice(("relay-1", "relay-2"))
            await host.akill(victim)
            await host.arevive(victim)
    await journey.until_seen(everything)
    # And with relays that have looked for what was there when they began: more of it, bit by bit, than there are relays.
    for said, place in enumerate(LAST, 1):
        for call_id in calls:
            await journey.say_all(call_id, [place])
        await journey.until_seen(everything + len(calls) * said)

    assert journey.seen == {call_id: [*places, *LAST] for call_id in calls}
    assert set((await journey.effects()).values()) == {1}
    record_property("kills", KILLS)
    record_property("facts", everything + len(calls) * len(LAST))
