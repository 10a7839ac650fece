"""Everything that a tenant sets about itself."""

from __future__ import annotations

from fastapi import APIRouter, Response
from switchboard.contracts.base import Empty
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
    ConnectTrunk,
    NewLocation,
    NewNumber,
    SetHolidays,
)

from api_gateway.access.caller import Authenticated
from api_gateway.access.repeating import Once
from api_gateway.access.versions import VERSIONED, IfMatch, tag
from api_gateway.tenants.schemas import (
    AgentForm,
    AgentShape,
    HolidaysForm,
    HolidaysShape,
    LocationForm,
    LocationShape,
    NumberForm,
    NumberShape,
    OfferedProvidersShape,
    PublishedShape,
    TenantShape,
    TrunkForm,
    TrunkShape,
    TrunksShape,
)

router = APIRouter(prefix="/v1")


@router.get("/tenant", tags=["tenant"])
async def get_tenant(caller: Authenticated) -> TenantShape:
    """Your settings as they stand, published or not."""
    return TenantShape.of(await caller.ask(GET_TENANT, Empty()))


@router.post("/locations", status_code=201, tags=["tenant"])
async def add_location(once: Once, caller: Authenticated, form: LocationForm) -> LocationShape:
    """Add a place with its opening hours."""
    return LocationShape.of(await once(caller, form).ask(ADD_LOCATION, form.to(NewLocation)))


@router.get("/holidays", tags=["tenant"], responses=VERSIONED)
async def get_holidays(response: Response, caller: Authenticated) -> HolidaysShape:
    """The list of holidays as it stands, published or not."""
    held = SetHolidays(holidays=(await caller.ask(GET_TENANT, Empty())).holidays)
    tag(response, held)
    return HolidaysShape.of(held)


@router.put("/holidays", tags=["tenant"], responses=VERSIONED)
async def set_holidays(response: Response, expected: IfMatch, caller: Authenticated, form: HolidaysForm) -> TenantShape:
    """Replace the list of holidays."""
    view = await expected(caller).ask(SET_HOLIDAYS, form.to(SetHolidays))
    tag(response, SetHolidays(holidays=view.holidays))
    return TenantShape.of(view)


@router.post("/numbers", status_code=201, tags=["telephony"])
async def add_number(once: Once, caller: Authenticated, form: NumberForm) -> NumberShape:
    """Bind a phone number to your agent: calls to it on that trunk are yours."""
    return NumberShape.of(await once(caller, form).ask(ADD_NUMBER, form.to(NewNumber)))


@router.post("/trunks", status_code=201, tags=["telephony"])
async def add_trunk(once: Once, caller: Authenticated, form: TrunkForm) -> TrunkShape:
    """Connect your own SBC. Numbers on the platform's trunk don't need this."""
    return TrunkShape.of(await once(caller, form).ask(CONNECT_TRUNK, form.to(ConnectTrunk)))


@router.get("/trunks", tags=["telephony"])
async def list_trunks(caller: Authenticated) -> TrunksShape:
    """Your trunks."""
    return TrunksShape.of(await caller.ask(LIST_TRUNKS, Empty()))


@router.get("/agent", tags=["tenant"], responses=VERSIONED)
async def get_agent(response: Response, caller: Authenticated) -> AgentShape:
    """The agent's configuration as it stands, published or not."""
    agent = (await caller.ask(GET_TENANT, Empty())).agent
    tag(response, agent)
    return AgentShape.of(agent)


@router.put("/agent", tags=["tenant"], responses=VERSIONED)
async def set_agent(response: Response, expected: IfMatch, caller: Authenticated, form: AgentForm) -> TenantShape:
    """Replace the agent's configuration."""
    view = await expected(caller).ask(SET_AGENT, form.to(AgentConfiguration))
    tag(response, view.agent)
    return TenantShape.of(view)


@router.get("/providers", tags=["tenant"])
async def list_providers(caller: Authenticated) -> OfferedProvidersShape:
    """The providers that your agent can be given, and what each can do."""
    return OfferedProvidersShape.of(await caller.ask(LIST_PROVIDERS, Empty()))


@router.post("/configuration/publish", tags=["going live"])
async def publish(once: Once, caller: Authenticated) -> PublishedShape:
    """Make your settings as they stand what calls are answered from."""
    return PublishedShape.of(await once(caller).ask(PUBLISH, Empty()))


@router.post("/live", tags=["going live"])
async def go_live(once: Once, caller: Authenticated) -> PublishedShape:
    """Answer calls from now on."""
    return PublishedShape.of(await once(caller).ask(GO_LIVE, Empty()))


@router.post("/pause", tags=["going live"])
async def pause(once: Once, caller: Authenticated) -> PublishedShape:
    """Stop answering calls until you go live again."""
    return PublishedShape.of(await once(caller).ask(PAUSE, Empty()))
