"""Composition root of tenant-svc."""

from __future__ import annotations

import secrets

from litestar import Litestar
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import AUDIT_HEADS, SNAPSHOTS, TENANT_KEYS
from switchboard.contracts.audit import AuditAppended, AuditRecorded
from switchboard.contracts.base import Service as Name
from switchboard.contracts.tenants import ConfigurationPublished, TrunksChanged
from switchboard.db import Database
from switchboard.inbox import Inbox
from switchboard.outbox import Relay
from switchboard.service import ASGIApp, Service, run
from switchboard.service.litestar_problems import problem_handlers
from switchboard.settings import LiveKitSettings, load_or_exit
from switchboard.snapshot import SnapshotWriter

from tenant_svc.adapters.livekit import LiveKitSip
from tenant_svc.adapters.smtp import Smtp
from tenant_svc.audit.anchors import Anchors
from tenant_svc.audit.handlers import recorder, serve_audit
from tenant_svc.audit.queries import Lines
from tenant_svc.configuration.handlers import serve_editing, serve_publishing
from tenant_svc.configuration.publishing import Publishing
from tenant_svc.configuration.service import Editing
from tenant_svc.identity.accounts import Accounts
from tenant_svc.identity.handlers import (
    serve_own_account,
    serve_own_tenants,
    serve_second_factor,
    serve_signing_in,
)
from tenant_svc.identity.links import Links
from tenant_svc.identity.passwords import Passwords
from tenant_svc.identity.sessions import Sessions
from tenant_svc.identity.tenants import Memberships
from tenant_svc.identity.totp import Totp
from tenant_svc.keys.handlers import serve_keys
from tenant_svc.keys.service import Keys
from tenant_svc.mail.outbox import MailOutbox
from tenant_svc.members.handlers import serve_invitations, serve_members, serve_support
from tenant_svc.members.invitations import Invitations
from tenant_svc.members.service import Members
from tenant_svc.members.support import Support
from tenant_svc.numbers.handlers import serve_numbers
from tenant_svc.numbers.service import Numbers
from tenant_svc.operators.endpoints import operators_router
from tenant_svc.operators.people import people_router
from tenant_svc.reconciler.handlers import waker
from tenant_svc.reconciler.service import Outcome, Policy, Reconciler
from tenant_svc.settings import Settings
from tenant_svc.snapshots.service import Projection
from tenant_svc.store import SCHEMA, Store
from tenant_svc.tenants.handlers import serve_tenants
from tenant_svc.tenants.service import Tenants
from tenant_svc.trunks.handlers import serve_trunks
from tenant_svc.trunks.service import Trunks


async def compose(service: Service[Settings]) -> ASGIApp | None:
    settings = service.settings
    db = await service.enter(Database.open(settings.database, name=service.name))
    service.health.required("postgres", db.ready)
    bus = await Bus.connect(
        settings.nats,
        settings.sealing,
        Name.TENANT_SVC,
        clock=service.clock,
        on_closed=lambda: service.fatal("the bus is closed"),
    )
    service.on_close(bus.drain)
    service.on_drain(bus.stop_intake)

    snapshots = SnapshotWriter(bus.bucket(SNAPSHOTS), Blobs.open(settings.blobs))
    projection = Projection(db, snapshots, bus.bucket(TENANT_KEYS))
    store = Store(db, bus, service.ids, service.clock, bus.keyring, secrets.token_bytes)
    refused = service.metrics.counter(
        "tenant_svc.audit.anchors_refused", "Heads of audit chains that could not move on"
    )
    anchors = Anchors(db, bus.bucket(AUDIT_HEADS), refused.inc)
    publishing = Publishing(store, projection.hint)
    reconcilers = await _reconcilers(service, db, bus)

    accounts = await serve_people(service, store, bus)
    await serve_settings(settings, store, bus)
    await serve_publishing(bus, publishing)
    await serve_audit(bus, Lines(db))
    bus.consume(
        {
            ConfigurationPublished: projection.on_published,
            TrunksChanged: waker(reconcilers),
            AuditRecorded: recorder(db, Inbox(SCHEMA), store.chains),
            AuditAppended: anchors.on_appended,
        }
    )

    service.background("outbox relay", Relay(db, SCHEMA, bus, service.clock.monotonic).run())
    service.background("kept answers", store.repeats.sweep(db))
    service.background("bucket sweep", projection.sweep(settings.projection.sweep_s))
    return Litestar(
        route_handlers=[
            operators_router(db, publishing, projection, reconcilers, settings.operators.token),
            people_router(accounts, settings.operators.token),
        ],
        exception_handlers=problem_handlers(),
        openapi_config=None,
        logging_config=None,
    )


async def serve_settings(settings: Settings, store: Store, bus: Bus) -> None:
    """Everything that a tenant sets about itself."""
    await serve_editing(bus, Editing(store, settings.providers.kinds))
    await serve_numbers(bus, Numbers(store))
    await serve_trunks(bus, Trunks(store, bus.keyring, settings.platform.carriers))


async def serve_people(service: Service[Settings], store: Store, bus: Bus) -> Accounts:
    """Everything about accounts, their tenants and keys, and the mail that they cause."""
    settings, ids, clock = service.settings, service.ids, service.clock
    mail = MailOutbox(store.db, bus.keyring, Smtp(settings.mail, ids, clock), ids, clock)
    passwords = await service.enter(Passwords.open())
    sessions = Sessions(store.db, ids, clock, secrets.token_bytes)
    accounts = Accounts(store.db, sessions, passwords, clock)
    totp = Totp(store.db, sessions, bus.keyring, clock, secrets.token_bytes)
    links = Links(store.db, sessions, passwords, mail, ids, clock, secrets.token_bytes, settings.console.url)
    tenants = Tenants(store, bus.keyring)

    await serve_tenants(bus, tenants)
    await serve_keys(bus, Keys(store, secrets.token_bytes))
    await serve_signing_in(bus, links, accounts, totp, sessions)
    await serve_own_account(bus, accounts, sessions)
    await serve_second_factor(bus, totp)
    await serve_own_tenants(bus, tenants, Memberships(store, sessions))
    await serve_members(bus, Members(store))
    await serve_invitations(bus, Invitations(store, mail, secrets.token_bytes, settings.console.url))
    await serve_support(bus, Support(store))
    service.background("mail", mail.run())
    service.background("old sessions", sessions.sweep())
    return accounts


async def _reconcilers(service: Service[Settings], db: Database, bus: Bus) -> list[Reconciler]:
    """One for each media cell, at work. What LiveKit holds goes on answering calls while one of them can't."""
    settings = service.settings.reconciler
    policy = Policy(
        carriers=service.settings.platform.carriers,
        agent_name=settings.agent_name,
        room_prefix=settings.room_prefix,
        ringing_timeout_s=settings.ringing_timeout_s,
        max_call_s=settings.max_call_s,
    )
    rounds = service.metrics.counter(
        "tenant_svc.reconciler.rounds", "Rounds over a LiveKit's trunks and rules", ("cell", "outcome")
    )
    writes = service.metrics.counter(
        "tenant_svc.reconciler.writes", "Trunks and rules created, replaced or deleted", ("cell",)
    )

    def told(outcome: Outcome) -> None:
        rounds.labels(outcome.cell, "ok" if outcome.ok else "failed").inc()
        writes.labels(outcome.cell).inc(outcome.created + outcome.replaced + outcome.deleted)

    cells: dict[str, LiveKitSettings] = {settings.cell: service.settings.livekit, **service.settings.cells}
    made: list[Reconciler] = []
    for cell, livekit in cells.items():
        sip = await service.enter(LiveKitSip.open(livekit))
        reconciler = Reconciler(cell, sip, db, bus.keyring, policy, service.clock, told)
        service.health.degradable(f"reconciler-{cell}", reconciler.check)
        service.background(f"reconcile {cell}", reconciler.run(settings.every_s))
        made.append(reconciler)
    return made


def main() -> None:
    run("tenant-svc", load_or_exit(Settings), compose)


if __name__ == "__main__":
    main()
