"""Mail behind requests: sent once, tried again, given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from fleet.mailbox.box import Mailbox
from switchboard.bus import Bus
from switchboard.clock import SystemClock
from switchboard.db import Database
from switchboard.errors import Unavailable
from switchboard.ids import Ids
from tenant_svc.adapters.smtp import Smtp
from tenant_svc.mail.models import Mail, MailRefused
from tenant_svc.mail.outbox import MailOutbox
from tenant_svc.settings import Settings
from tenant_svc.testing import mail_settings, until

pytestmark = pytest.mark.integration

CLOCK = SystemClock()
MAIL = Mail(to="office@sol.example", subject="Olá", text="A link: https://x.example/link#1\n")


@pytest.fixture
def smtp(smtp_port: int) -> Smtp:
    return Smtp(mail_settings(smtp_port), Ids(CLOCK), CLOCK)


@pytest_asyncio.fixture
async def outbox(db: Database, own_bus: Bus, smtp: Smtp) -> AsyncIterator[MailOutbox]:
    yield MailOutbox(db, own_bus.keyring, smtp, Ids(CLOCK), CLOCK)


async def add(db: Database, outbox: MailOutbox, mail: Mail = MAIL, valid: timedelta = timedelta(minutes=10)) -> None:
    async with db.platform() as conn:
        await outbox.add(conn, mail, CLOCK.now() + valid)


async def rows(settings: Settings) -> list[asyncpg.Record]:
    conn = await asyncpg.connect(settings.database.dsn.get_secret_value())
    try:
        return list(
            await conn.fetch("SELECT outcome, attempts, body_sealed, next_at > now() AS later FROM tenancy.mails")
        )
    finally:
        await conn.close()


async def test_what_is_sent_arrives_as_it_was_written(smtp: Smtp, mailbox: Mailbox) -> None:
    await smtp.send(MAIL)
    [mail] = mailbox.mails
    assert (mail.to, mail.subject, mail.text.strip()) == (MAIL.to, MAIL.subject, MAIL.text.strip())
    assert (mail.sender, mail.links) == ("switchboard@clinic.example", ("https://x.example/link#1",))


async def test_a_mail_is_sent_once_by_however_many_copies(
    db: Database, outbox: MailOutbox, own_bus: Bus, smtp: Smtp, mailbox: Mailbox, settings: Settings
) -> None:
    for number in range(10):
        await add(db, outbox, MAIL.model_copy(update={"subject": str(number)}))
    other = MailOutbox(db, own_bus.keyring, smtp, Ids(CLOCK), CLOCK)

    async def drained(one: MailOutbox) -> None:
        while await one.step():
            pass

    await asyncio.gather(*(drained(one) for one in (outbox, other, outbox, other)))
    assert sorted(int(mail.subject) for mail in mailbox.mails) == list(range(10))
    assert {(row["outcome"], row["body_sealed"]) for row in await rows(settings)} == {("sent", None)}


async def test_a_server_that_is_away_is_tried_again(
    db: Database, outbox: MailOutbox, mailbox: Mailbox, settings: Settings
) -> None:
    mailbox.away = True
    await add(db, outbox)
    assert await outbox.step()
    [row] = await rows(settings)
    assert (row["outcome"], row["attempts"], row["later"]) == (None, 1, True)
    assert row["body_sealed"] is not None
    assert not await outbox.step(), "it waits first"
    mailbox.away = False
    running = asyncio.create_task(outbox.run())
    await until(lambda: mailbox.count == 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_is_refused_and_what_is_too_late_is_given_up(
    db: Database, outbox: MailOutbox, mailbox: Mailbox, settings: Settings
) -> None:
    mailbox.refuses.add(MAIL.to)
    await add(db, outbox)
    await add(db, outbox, valid=timedelta(0))
    while await outbox.step():
        pass
    assert sorted(row["outcome"] for row in await rows(settings)) == ["refused", "too_late"]
    assert {row["body_sealed"] for row in await rows(settings)} == {None}
    assert mailbox.count == 0


async def test_a_transaction_that_fails_sends_nothing(db: Database, outbox: MailOutbox, settings: Settings) -> None:
    with pytest.raises(LookupError):
        async with db.platform() as conn:
            await outbox.add(conn, MAIL, CLOCK.now() + timedelta(minutes=10))
            raise LookupError
    assert await rows(settings) == []


async def test_errors_of_the_server_name_no_address(smtp: Smtp, mailbox: Mailbox) -> None:
    mailbox.refuses.add(MAIL.to)
    with pytest.raises(MailRefused) as refused:
        await smtp.send(MAIL)
    assert MAIL.to not in str(refused.value.to_problem())
    nobody = Smtp(mail_settings(9), Ids(CLOCK), CLOCK)
    with pytest.raises(Unavailable):
        await nobody.send(MAIL)


async def test_a_link_is_not_sent_without_tls_to_a_server_that_has_none(smtp_port: int, mailbox: Mailbox) -> None:
    settings = mail_settings(smtp_port).model_copy(update={"starttls": "required"})
    with pytest.raises(Unavailable):
        await Smtp(settings, Ids(CLOCK), CLOCK).send(MAIL)
    assert mailbox.count == 0
