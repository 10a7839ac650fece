"""Every service in two copies, one of them killed with work in hand: the other finishes it, nothing is lost or doubled.

The moment is seen, not guessed: rows are held until a copy's own gauge shows that it waits for them, and then it is killed.
The voice agent, whose work can't be held, has its own module. COPIES_RUNS repeats each test (`make prove`: five times).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID

import pytest
from fleet.api import Call, Document, Location, SwitchboardApi
from fleet.copies import Failover, held, metric, rows, stored_facts, until, with_work_in_hand
from fleet.draw import Clinic
from fleet.e2e import Killing, RunningFleet
from fleet.listening import ListeningCall, listening_call, long_greeting

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]

RUNS = range(int(os.environ.get("COPIES_RUNS", "1")))
SERVING = "switchboard_rpc_server_active_requests"
IN_HAND = "switchboard_bus_in_hand"
BROKEN_OFF = 2.0
"""Seconds of silence in the middle of what is spoken; between two sentences there is 0.4 s, on a busy machine 1.1."""

NO_WRITES = "LOCK TABLE knowledge.documents IN SHARE MODE"
THE_TENANT = "SELECT status FROM tenancy.tenants WHERE tenant_id = $1 FOR UPDATE"
THE_CALLS = "SELECT id FROM calls.calls WHERE tenant_id = $1 AND state <> 'ended' FOR UPDATE"


@asynccontextmanager
async def both_gateways(fleet: RunningFleet, seed: int) -> AsyncIterator[tuple[Failover, SwitchboardApi, Clinic, UUID]]:
    """A clinic; its client that goes on with the other gateway when one fails; its API; its id."""
    async with AsyncExitStack() as stack:
        api, clinic = await stack.enter_async_context(fleet.clinic(seed))
        urls = [fleet.layout.url(gateway) for gateway in fleet.layout.copies_of("api-gateway")]
        apis = [await stack.enter_async_context(SwitchboardApi.open(url, api.api_key)) for url in urls]
        yield Failover(apis), api, clinic, UUID((await api.tenant()).tenant_id)


@asynccontextmanager
async def working(*work: Callable[[], Awaitable[object]]) -> AsyncIterator[list[asyncio.Task[object]]]:
    """Runs it beside the block, and does not leave it behind."""
    tasks = [asyncio.ensure_future(one()) for one in work]
    try:
        yield tasks
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- documents ------------------------------------------------------------------------------------------------------


def leaflet(number: int, pages: int = 12) -> bytes:
    """A text of several passages that says a code which is its own."""
    parts = [
        f"What is the code of leaflet {number}, page {page}?\nIt is {code(number)} {page}." for page in range(pages)
    ]
    return "\n\n".join(parts).encode()


def code(number: int) -> str:
    return f"heron-{number * 7919}"


async def uploaded(client: Failover, numbers: Sequence[int]) -> list[Document]:
    """Each through another gateway than the one before, all at once."""

    def upload(number: int) -> Callable[[SwitchboardApi], Awaitable[Document]]:
        return lambda api: api.upload_document(f"leaflet-{number}.txt", leaflet(number), key=f"leaflet-{number}")

    return list(await asyncio.gather(*(client.ask(upload(number), first=number) for number in numbers)))


async def check_documents(fleet: RunningFleet, api: SwitchboardApi, tenant: UUID, names: set[str]) -> None:
    """Each is there once, was indexed once, with each passage once."""
    for document in (await api.list_documents(limit=200)).documents:
        await api.wait_document(document.document_id)
    there = [one for one in (await api.list_documents(limit=200)).documents if one.name in names]
    assert Counter(one.name for one in there) == Counter(names)
    for one in there:
        passages = await rows(
            fleet.database,
            "SELECT ordinal, revision FROM knowledge.chunks WHERE document_id = $1 ORDER BY ordinal",
            UUID(one.document_id),
        )
        assert [row["ordinal"] for row in passages] == list(range(one.chunks))
        assert {row["revision"] for row in passages} == {1}
        subject = f"tenants.{tenant.hex}.documents.{UUID(one.document_id).hex}.indexed"
        assert await stored_facts(fleet.layout, "DOCUMENTS", subject) == {subject: 1}


@pytest.mark.parametrize("run", RUNS)
async def test_ingestion_goes_on_in_the_other_worker(
    two_of_everything: RunningFleet, killing: Killing, run: int
) -> None:
    """A batch of documents; both workers have some in hand when one is killed."""
    fleet, layout = two_of_everything, two_of_everything.layout
    async with both_gateways(fleet, 4200 + run) as (client, api, _, tenant):
        before = {copy: await taken_in(fleet, copy) for copy in layout.copies_of("ingest-worker")}
        documents = await uploaded(client, range(8))
        async with held(fleet.database, NO_WRITES) as writes:
            for copy in layout.copies_of("ingest-worker"):
                await until(f"{copy} has a document", partial(metric, layout, copy, IN_HAND))
            victim = layout.copies_of("ingest-worker")[run % 2]
            await killing.kill(victim)
            await writes.release()
        await check_documents(fleet, api, tenant, {one.name for one in documents})
        survivor = next(copy for copy in before if copy != victim)
        assert await taken_in(fleet, survivor) > before[survivor]


async def taken_in(fleet: RunningFleet, copy: str) -> float:
    name = "messaging_process_duration_seconds_count"
    return await metric(fleet.layout, copy, name, contract="documents.uploaded/1", error_type="")


@pytest.mark.parametrize("run", RUNS)
async def test_the_index_takes_in_and_is_searched_while_one_copy_dies(
    two_of_everything: RunningFleet, killing: Killing, run: int
) -> None:
    """Uploads wait in the copy that is killed; searches go on through both gateways and always find what is there."""
    fleet, layout = two_of_everything, two_of_everything.layout
    async with both_gateways(fleet, 4300 + run) as (client, api, _, tenant):
        [first] = await uploaded(client, [100])
        await api.wait_document(first.document_id)
        found: list[str] = []
        enough = asyncio.Event()

        async def search(which: int) -> None:
            while not enough.is_set():
                reply = await client.ask(lambda one: one.search("what is the code of leaflet 100"), first=which)
                found.append(reply.passages[0].text)

        async with working(lambda: search(0), lambda: search(1)):
            async with (
                held(fleet.database, NO_WRITES) as writes,
                working(lambda: uploaded(client, range(101, 105))) as uploads,
            ):
                victim = await with_work_in_hand(layout, "rag-svc", SERVING, rpc_method="rag.register/1")
                await killing.kill(victim)
                await writes.release()
                await asyncio.gather(*uploads)
            await check_documents(fleet, api, tenant, {f"leaflet-{number}.txt" for number in range(100, 105)})
            enough.set()
        assert len(found) > 20
        assert all(code(100) in text for text in found)
        fleet.view.line(f"VERDICT {victim} killed: {len(found)} searches answered, {client.failed} requests made again")


# -- the gateway ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
async def test_requests_of_a_killed_gateway_are_made_again_and_count_once(
    two_of_everything: RunningFleet, killing: Killing, run: int
) -> None:
    """The work goes on behind a gateway that is gone: who repeats a request with its key gets that work's result."""
    fleet, layout = two_of_everything, two_of_everything.layout
    async with both_gateways(fleet, 4400 + run) as (client, _, _, tenant):
        names = [f"Branch {number}" for number in range(8)]
        victim = layout.copies_of("api-gateway")[run % 2]

        def adding(at: int, name: str) -> Callable[[], Awaitable[Location]]:
            return lambda: client.ask(lambda one: one.add_location(name, key=name), first=at)

        requests = [adding(at, name) for at, name in enumerate(names)]
        async with held(fleet.database, THE_TENANT, tenant) as row, working(*requests) as added:

            async def all_wait() -> bool:
                gauges = [metric(layout, copy, SERVING, rpc_method="tenants.add_location/1") for copy in TENANT_SVC]
                return sum(await asyncio.gather(*gauges)) >= len(names)

            await until("all requests wait behind the gateways", all_wait)
            assert await metric(layout, victim, "http_server_active_requests") >= 1
            await killing.kill(victim)
            await row.release()
            acknowledged = await asyncio.gather(*added)
        there = [location.name for location in (await client.ask(lambda one: one.tenant())).locations]
        assert Counter(name for name in there if name in names) == Counter(names)
        assert client.failed >= len(names) // 2
        assert len({location.location_id for location in acknowledged}) == len(names)  # type: ignore[attr-defined]
        fleet.view.line(f"VERDICT {victim} killed: {client.failed} requests made again, {len(names)} things made")


TENANT_SVC = ("tenant-svc", "tenant-svc-2")


# -- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
async def test_publications_are_finished_by_the_other_copy(
    two_of_everything: RunningFleet, killing: Killing, run: int
) -> None:
    """Each that was acknowledged is one version, told once; the latest is in force; LiveKit gets a new trunk once."""
    fleet, layout = two_of_everything, two_of_everything.layout
    async with both_gateways(fleet, 4500 + run) as (client, api, clinic, tenant):
        # One request is one publication, though two copies listen.
        assert (await api.publish()).version == (await api.publish()).version - 1
        publishing = [lambda at=at: client.ask(lambda one: one.publish(), first=at) for at in range(6)]
        async with held(fleet.database, THE_TENANT, tenant) as row, working(*publishing) as published:
            victim = await with_work_in_hand(layout, "tenant-svc", SERVING, rpc_method="tenants.publish/1")
            await killing.kill(victim)
            await row.release()
            versions = [one.version for one in await asyncio.gather(*published)]  # type: ignore[attr-defined]
        assert len(set(versions)) == len(versions)
        stored = await rows(
            fleet.database, "SELECT version FROM tenancy.configurations WHERE tenant_id = $1 ORDER BY 1", tenant
        )
        count = len(stored)
        assert [row["version"] for row in stored] == list(range(1, count + 1))
        assert set(versions) <= set(range(1, count + 1))

        async def in_force() -> bool:
            return (await api.preview(clinic.number)).configuration_version == count

        await until("the latest version is in force", in_force)
        subject = f"tenants.{tenant.hex}.config.published"

        async def told() -> bool:
            return await stored_facts(layout, "CONFIG", subject) == {subject: count}

        await until("every version is told", told)
        number = f"+1555444{run:04d}"
        trunk = await client.ask(lambda one: one.add_trunk("SBC", [f"127.0.9.{run + 1}/32"], [number], key="sbc"))

        async def in_livekit() -> bool:
            return await trunks_in_livekit(fleet, UUID(trunk.trunk_id).hex) == (1, 1)

        await until("LiveKit has the trunk and its rule", in_livekit)
        fleet.view.line(f"VERDICT {victim} killed: {count} versions, {client.failed} requests made again")


async def trunks_in_livekit(fleet: RunningFleet, key: str) -> tuple[int, int]:
    """How many trunks and how many dispatch rules there are for a trunk of a customer's."""
    from livekit.api import LiveKitAPI
    from livekit.protocol.sip import ListSIPDispatchRuleRequest, ListSIPInboundTrunkRequest

    livekit = fleet.layout.livekit
    async with LiveKitAPI(livekit.http_url, livekit.api_key, livekit.api_secret) as api:
        trunks = (await api.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items
        rules = (await api.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())).items
    return sum(key in one.name for one in trunks), sum(key in one.name for one in rules)


# -- calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS)
async def test_what_a_dying_orchestrator_had_in_hand_is_recorded_by_the_other(
    two_of_everything: RunningFleet, killing: Killing, run: int
) -> None:
    """Two callers hang up while another one goes on talking; the facts of their ends are in hand of a copy that dies."""
    fleet, layout = two_of_everything, two_of_everything.layout
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        _, api, clinic, tenant = await stack.enter_async_context(both_gateways(fleet, 4600 + run))
        await long_greeting(api, 9)
        calls = [await dialled(stack, fleet, clinic, f"+1555888{at:04d}") for at in range(3)]
        talking, leaving = calls[:1], calls[1:]
        for call in calls:
            await call.until_speech(call.answered_at)
        async with held(fleet.database, THE_CALLS, tenant) as row:
            began = clock()
            await asyncio.gather(*(call.sip.hang_up() for call in leaving))
            victim = await with_work_in_hand(layout, "call-orchestrator", IN_HAND, durable="call-orchestrator-calls")
            await killing.kill(victim)
            await row.release()
        for call in leaving:
            await check_record(fleet, await call.closed_record(api, 40.0), tenant)
        for call in talking:
            await call.until_speech(clock())
            assert call.over is None
            assert max(call.gap(began), call.pause(began)) < BROKEN_OFF
        gap = max(call.gap(began) for call in talking)
        fleet.view.line(f"VERDICT {victim} killed: longest gap between packets of talking calls {gap * 1000:.0f} ms")
        for call in talking:
            await call.sip.hang_up()
            await check_record(fleet, await call.closed_record(api, 40.0), tenant)


async def dialled(stack: AsyncExitStack, fleet: RunningFleet, clinic: Clinic, caller: str) -> ListeningCall:
    sip = fleet.layout.sip
    return await stack.enter_async_context(listening_call((sip.host, sip.port), clinic.number, caller, timeout=25.0))


async def check_record(fleet: RunningFleet, call: Call, tenant: UUID) -> None:
    """Every fact of the job's is in the history, once, and the rest of the fleet was told once that it began and ended."""
    assert call.end_reason == "caller_hung_up"
    call_id = UUID(call.call_id)

    async def history() -> list[tuple[int, str]]:
        statement = "SELECT seq, kind FROM calls.call_events WHERE call_id = $1 AND source = 'agent' ORDER BY seq"
        return [(row["seq"], row["kind"]) for row in await rows(fleet.database, statement, call_id)]

    async def whole() -> bool:
        return any(kind == "ended" for _, kind in await history())

    await until("the job's last fact is recorded", whole, 40.0)
    facts = await history()
    # Facts of one call may be handled in any order: the last one may be in before those ahead of it.
    await until("the facts before the last one are recorded", lambda: no_hole(history), 40.0)
    facts = await history()
    assert [kind for _, kind in facts] == ["answered", "turn", "conversation", "ended"]
    usage = await rows(fleet.database, "SELECT quantity FROM calls.usage WHERE call_id = $1", call_id)
    assert len(usage) == 1
    subjects = [f"tenants.{tenant.hex}.calls.{call_id.hex}.{fact}" for fact in ("opened", "closed")]
    for subject in subjects:
        await until("the end is told", partial(stored_facts, fleet.layout, "CALLS", subject))
        assert await stored_facts(fleet.layout, "CALLS", subject) == {subject: 1}


async def no_hole(history: Callable[[], Awaitable[list[tuple[int, str]]]]) -> bool:
    numbers = [number for number, _ in await history()]
    return numbers == list(range(1, len(numbers) + 1))
