"""The dev mailbox as a process: mail in by SMTP, shown as a page and as JSON."""

from __future__ import annotations

import pytest
from fleet.hosted import HostedSupervisor
from fleet.servers import MailboxServer
from pydantic import SecretStr
from switchboard.clock import SystemClock
from switchboard.http import client
from switchboard.ids import Ids
from tenant_svc.adapters.smtp import Smtp, SmtpSettings
from tenant_svc.mail.models import Mail

pytestmark = pytest.mark.integration

LINK = "https://console.example/link#0123.4567"


async def test_what_the_service_sends_is_there_to_be_read(own_servers: HostedSupervisor) -> None:
    server = MailboxServer.lay_out(own_servers.ports)
    await own_servers.astart(server.spec)
    settings = SmtpSettings(url=SecretStr(server.smtp_url), starttls="never", sender="switchboard@localhost")
    clock = SystemClock()
    mailer = Smtp(settings, Ids(clock), clock)
    await mailer.send(Mail(to="office@sol.example", subject="First", text="no link\n"))
    await mailer.send(Mail(to="Office@Sol.example", subject="<b>Second</b>", text=f"<script>x</script> {LINK}\n"))
    await mailer.send(Mail(to="other@sol.example", subject="Third", text="not for you\n"))

    async with client(base_url=server.url) as http:
        found = (await http.get("/messages", params={"to": "office@sol.example"})).json()["messages"]
        assert [mail["subject"] for mail in found] == ["First", "<b>Second</b>"]
        assert found[1]["links"] == [LINK]
        later = (await http.get("/messages", params={"to": "office@sol.example", "after": 1})).json()["messages"]
        assert [mail["number"] for mail in later] == [2]
        assert (await http.get("/messages", params={"to": "nobody@x.example", "wait_s": 0.01})).json() == {
            "messages": []
        }
        page = (await http.get("/")).text
    assert "First" in page
    assert "not for you" in page
    assert "<script>x" not in page
    assert "<b>Second</b>" not in page
    assert f'<a href="{LINK}">' in page
    assert await server.link_to("office@sol.example") == "0123.4567"
