"""Signing up, and everything that a tenant sets about itself."""

from __future__ import annotations

from fastapi import APIRouter, Request
from switchboard.contracts.base import Actor, Empty
from switchboard.contracts.snapshot import AgentConfiguration
from switchboard.contracts.tenants import (
    ADD_LOCATION,
    ADD_NUMBER,
    CONNECT_TRUNK,
    GET_TENANT,
    GO_LIVE,
    LIST_PROVIDERS,
    LIST_TRUNKS,
    PAUSE,
    PUBLISH,
    SET_AGENT,
    SET_HOLIDAYS,
    SIGN_UP,
    ConnectTrunk,
    NewLocation,
    NewNumber,
    SetHolidays,
    SignUp,
)

from api_gateway.access.caller import Authenticated
from api_gateway.access.origin import origin_of
from api_gateway.access.repeating import IdempotencyKey, id_for
from api_gateway.resources import resources
from api_gateway.tenants.schemas import (
    AgentForm,
    HolidaysForm,
    LocationForm,
    LocationShape,
    NumberForm,
    NumberShape,
    OfferedProvidersShape,
    PublishedShape,
    SignedUpShape,
    SignUpForm,
    TenantShape,
    TrunkForm,
    TrunkShape,
    TrunksShape,
)

router = APIRouter(prefix="/v1")


@router.post("/signup", status_code=201, tags=["tenant"])
async def sign_up(request: Request, form: SignUpForm) -> SignedUpShape:
    """Open an account. The API key in the answer is shown this once; keep it."""
    bus = resources(request).bus
    actor = Actor(kind="anonymous", origin=origin_of(request))
    return SignedUpShape.of(await bus.request(SIGN_UP, form.to(SignUp), tenant_id=None, actor=actor))


@router.get("/tenant", tags=["tenant"])
async def get_tenant(caller: Authenticated) -> TenantShape:
    """Your settings as they stand, published or not."""
    return TenantShape.of(await caller.ask(GET_TENANT, Empty()))


@router.post("/locations", status_code=201, tags=["tenant"])
async def add_location(key: IdempotencyKey, caller: Authenticated, form: LocationForm) -> LocationShape:
    """Add a place with its opening hours."""
    wanted = form.to(NewLocation, location_id=id_for(caller.tenant_id, "location", key))
    return LocationShape.of(await caller.ask(ADD_LOCATION, wanted))


@router.put("/holidays", tags=["tenant"])
async def set_holidays(caller: Authenticated, form: HolidaysForm) -> TenantShape:
    """Replace the list of holidays."""
    return TenantShape.of(await caller.ask(SET_HOLIDAYS, form.to(SetHolidays)))


@router.post("/numbers", status_code=201, tags=["telephony"])
async def add_number(key: IdempotencyKey, caller: Authenticated, form: NumberForm) -> NumberShape:
    """Bind a phone number to your agent: calls to it on that trunk are yours."""
    wanted = form.to(NewNumber, number_id=id_for(caller.tenant_id, "number", key))
    return NumberShape.of(await caller.ask(ADD_NUMBER, wanted))


@router.post("/trunks", status_code=201, tags=["telephony"])
async def add_trunk(key: IdempotencyKey, caller: Authenticated, form: TrunkForm) -> TrunkShape:
    """Connect your own SBC. Numbers on the platform's trunk don't need this."""
    wanted = form.to(ConnectTrunk, trunk_id=id_for(caller.tenant_id, "trunk", key))
    return TrunkShape.of(await caller.ask(CONNECT_TRUNK, wanted))


@router.get("/trunks", tags=["telephony"])
async def list_trunks(caller: Authenticated) -> TrunksShape:
    """Your trunks."""
    return TrunksShape.of(await caller.ask(LIST_TRUNKS, Empty()))


@router.put("/agent", tags=["tenant"])
async def set_agent(caller: Authenticated, form: AgentForm) -> TenantShape:
    """Replace the agent's configuration."""
    return TenantShape.of(await caller.ask(SET_AGENT, form.to(AgentConfiguration)))


@router.get("/providers", tags=["tenant"])
async def list_providers(caller: Authenticated) -> OfferedProvidersShape:
    """The providers that your agent can be given, and what each can do."""
    return OfferedProvidersShape.of(await caller.ask(LIST_PROVIDERS, Empty()))


@router.post("/configuration/publish", tags=["going live"])
async def publish(caller: Authenticated) -> PublishedShape:
    """Make your settings as they stand what calls are answered from."""
    return PublishedShape.of(await caller.ask(PUBLISH, Empty()))


@router.post("/live", tags=["going live"])
async def go_live(caller: Authenticated) -> PublishedShape:
    """Answer calls from now on."""
    return PublishedShape.of(await caller.ask(GO_LIVE, Empty()))


@router.post("/pause", tags=["going live"])
async def pause(caller: Authenticated) -> PublishedShape:
    """Stop answering calls until you go live again."""
    return PublishedShape.of(await caller.ask(PAUSE, Empty()))
