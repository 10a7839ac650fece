"""The public API over a real socket and a real bus: who is let in, what passes through, what errors look like."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID, uuid4

import pytest
from api_gateway.testing import Peers, RunningGateway, Tenant, problem
from switchboard.bus import Call
from switchboard.contracts import calls, documents, keys, snapshot, tenants
from switchboard.contracts.base import Contract, Empty, Rpc
from switchboard.contracts.providers import ProviderFault
from switchboard.errors import Conflict, FieldProblem, NotFound
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def tenant_view(tenant_id: UUID) -> tenants.TenantView:
    opening = snapshot.Opening(day="monday", opens=time(9), closes=time(17, 30))
    return tenants.TenantView(
        tenant_id=tenant_id,
        name="Clínica Sol",
        status=snapshot.TenantStatus.DRAFT,
        time_zone="Europe/Madrid",
        language="es",
        published_version=None,
        locations=(snapshot.Location(id=tenant_id, name="Centro", hours=(opening,)),),
        holidays=(),
        numbers=(snapshot.NumberBinding(number="+34910000000", trunk=tenant_id.hex),),
        agent=snapshot.AgentConfiguration(),
    )


async def test_without_a_valid_key_nothing_is_asked(gateway: RunningGateway, peers: Peers) -> None:
    unknown = "Bearer sb_00000000000000000000000000000000_a-secret-of-a-test"
    for authorization in (None, "", "Basic dXNlcjpwYXNz", "Bearer", "Bearer nonsense", unknown):
        headers = {} if authorization is None else {"authorization": authorization}
        response = await gateway.http.get("/v1/tenant", headers=headers)
        problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    assert [asked.contract for asked in peers.asked] == [keys.AUTHENTICATE.contract()], "for the last one only"


async def test_two_keys_are_none(gateway: RunningGateway, tenant: Tenant) -> None:
    twice = [("authorization", f"Bearer {tenant.api_key}")] * 2
    problem(await gateway.http.get("/v1/tenant", headers=twice), 401)


async def test_a_wrong_secret_is_refused(gateway: RunningGateway, tenant: Tenant) -> None:
    wrong = {"authorization": f"Bearer {tenant.api_key}x"}
    problem(await gateway.http.get("/v1/tenant", headers=wrong), 401)


async def test_every_operation_but_signing_in_needs_a_credential(gateway: RunningGateway) -> None:
    """From the OpenAPI document, so that a new operation is in this test before anybody thinks of it."""
    document = (await gateway.http.get("/v1/openapi.json")).json()
    operations = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if not path.startswith("/v1/auth/")
    }
    assert len(operations) >= 20
    for method, path in sorted(operations):
        address = re.sub(r"{\w+_id}", uuid4().hex, path)
        response = await gateway.http.request(method, address)
        assert response.status_code == 401, f"{method} {path} answered {response.status_code}"


async def test_the_secret_stays_in_the_gateway(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(tenants.GET_TENANT, tenant_view(tenant.id))

    assert (await gateway.http.get("/v1/tenant", headers=tenant.headers)).status_code == 200

    authenticated, asked = peers.asked
    assert "a-secret" not in repr(authenticated.body) + authenticated.body.model_dump_json()
    assert authenticated.call.tenant_id is None
    assert asked.call.tenant_id == tenant.id
    assert asked.call.actor.kind == "api_key"
    assert asked.call.actor.tenant_id == tenant.id


async def test_a_tenant_as_the_public_sees_it(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(tenants.GET_TENANT, tenant_view(tenant.id))

    body = (await gateway.http.get("/v1/tenant", headers=tenant.headers)).json()

    assert body["locations"][0]["location_id"] == str(tenant.id)
    assert body["locations"][0]["hours"] == [{"day": "monday", "opens": "09:00", "closes": "17:30"}]
    assert body["numbers"] == [{"number": "+34910000000", "trunk": str(tenant.id), "carrier_account": None}]


SETTINGS_CALLS: list[tuple[str, str, dict[str, Any] | None, Rpc[Any, Any]]] = [
    ("POST", "/v1/locations", {"name": "A", "hours": [{"day": "friday", "opens": "09:00", "closes": "13:00"}]},
     tenants.ADD_LOCATION),
    ("PUT", "/v1/holidays", {"holidays": [{"day": "2026-12-25", "name": "Navidad"}]}, tenants.SET_HOLIDAYS),
    ("POST", "/v1/numbers", {"number": "+34910000000"}, tenants.ADD_NUMBER),
    ("POST", "/v1/trunks", {"name": "SBC", "allowed_addresses": ["203.0.113.7"], "numbers": ["+34910000000"]},
     tenants.CONNECT_TRUNK),
    ("PUT", "/v1/agent", {"greeting": "Hola", "forward_to": "+34910000001"}, tenants.SET_AGENT),
    ("GET", "/v1/providers", None, tenants.LIST_PROVIDERS),
    ("POST", "/v1/configuration/publish", None, tenants.PUBLISH),
    ("POST", "/v1/live", None, tenants.GO_LIVE),
    ("POST", "/v1/pause", None, tenants.PAUSE),
]  # fmt: skip


async def test_settings_reach_their_owner(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    """With the caller's tenant and actor; the owner's refusal comes back as it was."""
    pointed = FieldProblem("/name", "taken", "choose another")
    for method, path, form, spec in SETTINGS_CALLS:
        peers.answer(spec, Conflict("there is one already", fields=[pointed]))

        found = problem(await gateway.http.request(method, path, json=form, headers=tenant.headers), 409)

        assert found["detail"] == "there is one already"
        assert found["errors"] == [{"pointer": "/name", "detail": "taken", "fix": "choose another"}]
        asked = peers.asked_for(spec)[0]
        assert asked.call.tenant_id == asked.call.actor.tenant_id == tenant.id
        sent = asked.body.model_dump(mode="json")
        plain = {key: value for key, value in (form or {}).items() if isinstance(value, str)}
        assert {key: sent[key] for key in plain} == plain


async def test_chosen_providers_travel_both_ways(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    async def echo(body: snapshot.AgentConfiguration, call: Call) -> Contract:
        return tenant_view(tenant.id).model_copy(update={"agent": body})

    peers.answer(tenants.SET_AGENT, echo)
    link = {"endpoint": "openai-main", "model": "small", "voice": "", "deadline_ms": 900}
    providers = {"stt": [], "llm": [link, {**link, "endpoint": "openai-spare"}], "tts": [], "embeddings": link}

    response = await gateway.http.put("/v1/agent", json={"providers": providers}, headers=tenant.headers)

    assert response.json()["agent"]["providers"] == providers


async def test_the_providers_that_can_be_chosen(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    view = tenants.ProviderView(endpoint="openai-main", kind="openai", stages=("llm", "tts", "embeddings"))
    peers.answer(tenants.LIST_PROVIDERS, tenants.ProviderList(providers=(view,)))

    response = await gateway.http.get("/v1/providers", headers=tenant.headers)

    offered = {"endpoint": "openai-main", "kind": "openai", "stages": ["llm", "tts", "embeddings"]}
    assert response.json() == {"providers": [offered]}


async def test_published(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(tenants.PUBLISH, tenants.Published(version=3, status=snapshot.TenantStatus.LIVE, published_at=NOW))
    response = await gateway.http.post("/v1/configuration/publish", headers=tenant.headers)
    assert response.json() == {"version": 3, "status": "live", "published_at": "2026-03-02T09:00:00Z"}


async def test_another_tenants_call_is_not_found(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    """The owner decides: it has a call of one tenant only, and the gateway asks in the name of the other."""
    other = await peers.new_tenant()
    call_id = uuid4()

    async def get(body: calls.GetCall, call: Call) -> Contract:
        return call_record(call_id) if call.tenant_id == other.id else _not_found()

    peers.answer(calls.GET_CALL, get)

    assert (await gateway.http.get(f"/v1/calls/{call_id}", headers=other.headers)).status_code == 200
    found = problem(await gateway.http.get(f"/v1/calls/{call_id}", headers=tenant.headers), 404)
    assert str(call_id) not in str({key: value for key, value in found.items() if key != "instance"})


def _not_found() -> Contract:
    raise NotFound


def summary(call_id: UUID) -> calls.CallSummary:
    return calls.CallSummary(
        call_id=call_id,
        state=calls.CallState.ENDED,
        caller=Sealed("+34600000000"),
        dialled=Sealed("+34910000000"),
        started_at=NOW,
        answered_at=NOW,
        ended_at=NOW,
        end_reason=calls.EndReason.CALLER_HUNG_UP,
        outcome=calls.Outcome.TALK,
        configuration_version=1,
        turns=1,
    )


def call_record(call_id: UUID) -> calls.CallRecord:
    passage = calls.PassageUsed(
        passage_id=call_id,
        document_id=call_id,
        document_name=Sealed("prices.pdf"),
        heading=Sealed("Prices"),
        text=Sealed("Cleaning 60 euros"),
        score=1.0,
        cited=True,
    )
    turn = calls.TurnRecord(
        turn=1,
        epoch=1,
        kind="answered",
        caller_said=(calls.Hypothesis(text=Sealed("how much"), confidence=0.8),),
        agent_said=Sealed("It costs 60 euros."),
        agent_heard=Sealed("It costs"),
        interrupted=True,
        passages=(passage,),
        timings=calls.TurnTimings(speech_ended=NOW),
        faults=(
            ProviderFault(stage="llm", endpoint="openai-main", fault="timeout", served_by="offline"),
            ProviderFault(stage="tts", endpoint="voice-a", fault="reset"),
        ),
    )
    return calls.CallRecord(summary=summary(call_id), turns=(turn,))


async def test_a_calls_record(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    call_id = uuid4()
    peers.answer(calls.GET_CALL, call_record(call_id))

    body = (await gateway.http.get(f"/v1/calls/{call_id.hex.upper()}", headers=tenant.headers)).json()

    assert body["call"]["caller"] == "+34600000000"
    assert body["call"]["end_reason"] == "caller_hung_up"
    (turn,) = body["turns"]
    assert turn["caller_said"] == [{"text": "how much", "confidence": 0.8}]
    assert (turn["agent_said"], turn["caller_heard"]) == ("It costs 60 euros.", "It costs")
    assert turn["passages"][0]["text"] == "Cleaning 60 euros"
    assert turn["timings"]["speech_ended"] == "2026-03-02T09:00:00Z"
    assert turn["timings"]["first_audio"] is None
    assert turn["faults"] == [
        {"stage": "llm", "endpoint": "openai-main", "fault": "timeout", "served_by": "offline"},
        {"stage": "tts", "endpoint": "voice-a", "fault": "reset", "served_by": None},
    ]


async def test_lists_and_their_pages(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(calls.LIST_CALLS, calls.CallList(calls=(summary(uuid4()),), next_cursor="abc"))

    body = (await gateway.http.get("/v1/calls?limit=1", headers=tenant.headers)).json()
    await gateway.http.get(f"/v1/calls?limit=2&cursor={body['next_cursor']}", headers=tenant.headers)

    assert len(body["calls"]) == 1
    pages = [asked.body for asked in peers.asked_for(calls.LIST_CALLS)]
    assert [(page.limit, page.cursor) for page in pages] == [(1, None), (2, "abc")]
    for query in ("limit=0", "limit=201", "limit=x", "cursor=a%00b", "cursor=a%0A", "cursor=" + "a" * 701):
        assert problem(await gateway.http.get(f"/v1/calls?{query}", headers=tenant.headers), 422)["errors"][0]["fix"]


async def test_ending_a_call_and_preview(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    call_id = uuid4()
    peers.answer(calls.REQUEST_END, Empty())
    peers.answer(
        calls.PREVIEW,
        calls.Decision(
            outcome=calls.Outcome.REFUSE,
            reason=calls.DecisionReason.TENANT_NOT_LIVE,
            evidence={"status": "draft", "live": False, "calls": 2},
        ),
    )

    ended = await gateway.http.post(f"/v1/calls/{call_id}/end", headers=tenant.headers)
    preview = await gateway.http.post("/v1/numbers/preview", json={"number": "+34910000000"}, headers=tenant.headers)

    assert ended.status_code == 202
    assert ended.json() == {"call_id": str(call_id), "status_url": f"/v1/calls/{call_id}"}
    assert preview.json()["outcome"] == "refuse"
    assert preview.json()["evidence"] == {"status": "draft", "live": False, "calls": 2}
    wrong = await gateway.http.post("/v1/numbers/preview", json={"number": "910000000"}, headers=tenant.headers)
    assert "+34910000000" in problem(wrong, 422)["errors"][0]["fix"]


async def test_search(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    passage = documents.Passage(
        passage_id=uuid4(),
        document_id=uuid4(),
        document_name=Sealed("prices.pdf"),
        heading=Sealed("Prices"),
        text=Sealed("Cleaning 60 euros"),
        score=0.5,
        similarity=0.25,
    )
    timings = documents.SearchTimings(embed_ms=1.5, query_ms=2.5)
    away = ProviderFault(stage="embeddings", endpoint="openai-main", fault="timeout")
    peers.answer(documents.SEARCH, documents.SearchReply(passages=(passage,), timings=timings, faults=(away,)))

    response = await gateway.http.post("/v1/search", json={"query": "cleaning?"}, headers=tenant.headers)

    assert response.json()["passages"][0]["text"] == "Cleaning 60 euros"
    assert response.json()["timings"] == {"embed_ms": 1.5, "query_ms": 2.5}
    told = {"stage": "embeddings", "endpoint": "openai-main", "fault": "timeout", "served_by": None}
    assert response.json()["faults"] == [told]
    assert peers.asked_for(documents.SEARCH)[0].body.queries == ("cleaning?",)
