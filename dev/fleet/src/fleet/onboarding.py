"""A clinic's way in, through the public API and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleet.api import SwitchboardApi
from fleet.documents import faq, price_list
from fleet.draw import Clinic
from fleet.process import FleetError

WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
AGENT_VOICE = "en-us"


@dataclass(frozen=True)
class Onboarded:
    """A live clinic. `api_key` is its owner's."""

    number: str
    api_key: str
    price_list_id: str
    faq_id: str


async def onboard(
    api: SwitchboardApi, clinic: Clinic, tell: Callable[[str], None], providers: dict[str, Any] | None = None
) -> Onboarded:
    """Signs up, sets hours, number and agent, uploads both documents, publishes, goes live. ApiError on any refusal.

    `providers`: the chains that the clinic chooses; offline without.
    """
    owner = f"office-{clinic.seed}@{clinic.name.split()[0].lower()}.example"
    account = await api.sign_up(clinic.name, owner, "America/New_York")
    tell(f"signed up {clinic.name}")
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
    return Onboarded(clinic.number, account.api_key, prices.document_id, questions.document_id)
