"""A clinic's way in, through the public API and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleet.api import SwitchboardApi
from fleet.api_models import Account
from fleet.documents import faq, price_list
from fleet.draw import Clinic
from fleet.layout import Layout
from fleet.person import open_account
from fleet.process import FleetError

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
AGENT_VOICE = "en-us"


@dataclass(frozen=True)
class Onboarded:
    """A live clinic."""

    number: str
    account: Account
    price_list_id: str
    faq_id: str

    @property
    def api_key(self) -> str:
        return self.account.api_key


async def onboard(
    layout: Layout, clinic: Clinic, tell: Callable[[str], None], providers: dict[str, Any] | None = None
) -> Onboarded:
    """Signs up by mail, sets hours, number and agent, uploads both documents, publishes, goes live. ApiError on any refusal.

    `providers`: the chains that the clinic chooses; offline without.
    """
    # Two clinics may be drawn from one seed; their numbers differ.
    owner = f"office-{clinic.number.removeprefix('+')}@{clinic.name.split()[0].lower()}.example"
    zone = "America/New_York"
    account = await open_account(layout.api_url, layout.mailbox, name=clinic.name, email=owner, time_zone=zone)
    tell(f"signed up {clinic.name}: followed the link in the mail, made an API key")
    async with SwitchboardApi.open(layout.api_url, account.api_key) as api:
        prices, questions = await _set_up(api, clinic, tell, providers)
    return Onboarded(clinic.number, account, prices, questions)


async def _set_up(
    api: SwitchboardApi, clinic: Clinic, tell: Callable[[str], None], providers: dict[str, Any] | None
) -> tuple[str, str]:
    """Everything that follows, with the key; the ids of both documents."""
    # Open around the clock: the demo is run at any hour.
    await api.add_location("Main Street", hours=[(day, "00:00", "23:59") for day in WEEK], address="1 Main Street")
    await api.add_number(clinic.number)
    await api.set_agent(
        greeting=f"{clinic.name}, how can I help you?",
        language="en",
        voice=AGENT_VOICE,
        max_concurrent_calls=3,
        outside_hours="talk",
        **({"providers": providers} if providers else {}),
    )
    tell(f"bound the number {clinic.number}, set hours and greeting")
    if providers:
        # What is published decides who embeds the documents.
        await api.publish()
        tell("chose providers and published")
    prices = await api.upload_document("prices.pdf", price_list(clinic), name="Price list")
    questions = await api.upload_document("faq.txt", faq(clinic), name="Frequently asked questions")
    for document in (prices, questions):
        read = await api.wait_document(document.document_id)
        tell(f"uploaded {read.name}: {read.chunks} passages")
    await api.publish()
    await api.go_live()
    preview = await api.preview(clinic.number)
    if preview.outcome != "talk":
        raise FleetError(f"a call to {clinic.number} would not be answered: {preview.outcome} ({preview.reason})")
    tell("published, live")
    return prices.document_id, questions.document_id
