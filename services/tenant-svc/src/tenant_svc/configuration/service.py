"""Editing the draft: locations, holidays, the agent's behaviour. Nothing here reaches a caller before it is published."""

from __future__ import annotations

from uuid import UUID

from switchboard.audit import Line, Resource
from switchboard.contracts.base import Actor
from switchboard.contracts.snapshot import AgentConfiguration, Location
from switchboard.contracts.tenants import NewLocation, ProviderList, SetHolidays, TenantView
from switchboard.errors import Conflict
from switchboard.etags import unchanged
from switchboard.ids import token

from tenant_svc.configuration import repository as sql
from tenant_svc.configuration.chains import Kinds, chains_problems, offered
from tenant_svc.store import Store, repeated
from tenant_svc.tenants.service import load_draft
from tenant_svc.validation import check, holidays_problems, hours_problems, language_problem, number_problem

MAX_LOCATIONS = 100


class Editing:
    """``kinds``: the providers that operators have set up, by name."""

    def __init__(self, store: Store, kinds: Kinds) -> None:
        self._store = store
        self._kinds = kinds

    async def add_location(self, tenant_id: UUID, body: NewLocation, actor: Actor) -> Location:
        check(hours_problems(body.hours), body)
        location = Location(id=body.location_id or self._store.ids.new(), **body.model_dump(exclude={"location_id"}))
        hours = [opening.model_dump(mode="json") for opening in location.hours]
        async with self._store.write(tenant_id, actor) as write:
            earlier = write.attempt.earlier(Location)
            if earlier is not None:
                return earlier
            made = await write.conn.fetchrow(sql.SELECT_LOCATION, location.id)
            if made is not None:
                return repeated(Location.model_validate(dict(made)), location)
            if await write.conn.fetchval(sql.COUNT_LOCATIONS) >= MAX_LOCATIONS:
                raise Conflict(f"there are {MAX_LOCATIONS} locations already, and that is the most there can be")
            await write.conn.execute(
                sql.INSERT_LOCATION, location.id, location.name, location.address, hours, location.notes
            )
            await write.audit(Line("location.added", Resource("location", token(location.id)), after=location))
            return await write.attempt.keep(location)

    async def set_holidays(self, tenant_id: UUID, body: SetHolidays, actor: Actor) -> TenantView:
        """Replaces the whole list."""
        check(holidays_problems(body.holidays), body)
        async with self._store.write(tenant_id, actor) as write:
            held = SetHolidays(holidays=(await load_draft(write.conn)).holidays)
            unchanged(actor, held)
            await write.conn.execute(sql.DELETE_HOLIDAYS)
            await write.conn.executemany(
                sql.INSERT_HOLIDAY,
                [(holiday.day, holiday.name, holiday.opens, holiday.closes) for holiday in body.holidays],
            )
            await write.audit(Line("holidays.set", Resource("holidays"), held, body))
            return (await load_draft(write.conn)).view()

    async def set_agent(self, tenant_id: UUID, body: AgentConfiguration, actor: Actor) -> TenantView:
        """Replaces how the agent behaves."""
        forward = None if body.forward_to is None else number_problem(body.forward_to, "/forward_to")
        language = language_problem(body.language, "/language")
        check([forward, language, *chains_problems(body.providers, self._kinds)], body)
        async with self._store.write(tenant_id, actor) as write:
            before = (await load_draft(write.conn)).agent
            unchanged(actor, before)
            await write.conn.execute(sql.UPDATE_AGENT, body.model_dump(mode="json"))
            await write.audit(Line("agent.set", Resource("agent"), before, body))
            return (await load_draft(write.conn)).view()

    def providers(self) -> ProviderList:
        """What a tenant may choose among."""
        return offered(self._kinds)
