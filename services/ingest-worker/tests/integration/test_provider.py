"""Both services with a provider of embeddings over a real socket: the clinic's choice, and what becomes of its failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from emulators.behaviour import FaultKind
from emulators.client import EmulatorsClient
from switchboard.contracts.documents import SearchReply
from switchboard.contracts.providers import ProviderChoice

pytestmark = pytest.mark.integration

MAIN = ProviderChoice(endpoint="main", deadline_ms=1200)
KEY = "key-of-the-emulated-provider"
SEEN_AS: dict[FaultKind, set[str]] = {
    "stall": {"timeout"},
    "reset": {"reset", "cut_off"},
    "rate_limited": {"rate_limited"},
    "error": {"refused"},
    "garbage": {"bad_answer"},
    "half": {"cut_off"},
}
"""Each may be a timeout too: what may pass is tried twice, and the machine may be busy."""

FAQ = b"""# Questions

## Can I bring my dog?
Small dogs are welcome in the waiting room.

## How much is the Velora peel?
The Velora peel costs 129 euros.
"""
QUESTION = "may i come with my dog"
ANSWER = "Small dogs are welcome in the waiting room."


async def found_well(clinic: Any, seconds: float = 30.0) -> SearchReply:
    """A search without faults. On a busy machine even a good provider is late now and then."""
    async with asyncio.timeout(seconds):
        while True:
            reply: SearchReply = await clinic.search(QUESTION)
            if not reply.faults:
                assert str(reply.passages[0].text) == ANSWER
                return reply


async def asked(admin: EmulatorsClient) -> int:
    return (await admin.asked("embeddings")).requests


async def test_a_choice_moves_the_documents_and_back(house_with_provider: Any, emulators: Any) -> None:
    house = house_with_provider
    clinic, other = await house.clinic(), await house.clinic()
    async with EmulatorsClient.open(emulators.admin_url) as admin:
        documents = [await one.upload("faq.md", "text/markdown", FAQ) for one in (clinic, other)]
        for one, document in zip((clinic, other), documents, strict=True):
            await one.embedded(document, "offline")
        await found_well(clinic)
        assert await asked(admin) == 0, "nobody has chosen it"

        await clinic.publish(1, MAIN)
        await clinic.embedded(documents[0], "main")
        reply = await found_well(clinic)
        assert reply.passages[0].similarity > 0.4
        request = (await admin.asked("embeddings")).last[-1]
        assert request.fields["input"] == [QUESTION]
        assert request.fields["dimensions"] == 384
        later = await clinic.upload("more.md", "text/markdown", FAQ.replace(b"dog", b"cat"))
        await clinic.embedded(later, "main")

        before = await asked(admin)
        await found_well(other)
        assert await asked(admin) == before, "the other clinic's words stay here"

        await clinic.publish(2, None)
        await clinic.embedded(documents[0], "offline")
        await clinic.embedded(later, "offline")
        before = await asked(admin)
        await found_well(clinic)
        assert await asked(admin) == before
    assert "Velora" not in house.log("rag-svc") + house.log("ingest-worker")
    assert KEY not in house.log("rag-svc") + house.log("ingest-worker")


async def test_a_failing_provider_costs_a_caller_its_meaning_and_no_answer(
    house_with_provider: Any, emulators: Any
) -> None:
    house = house_with_provider
    clinic = await house.clinic()
    await clinic.publish(1, MAIN)
    async with EmulatorsClient.open(emulators.admin_url) as admin:
        document = await clinic.upload("faq.md", "text/markdown", FAQ)
        await clinic.embedded(document, "main")
        await found_well(clinic)

        for kind, faults in SEEN_AS.items():
            await admin.fault("embeddings", kind)
            reply = await clinic.search(QUESTION)
            assert [fault.endpoint for fault in reply.faults] == ["main"], kind
            assert reply.faults[0].fault in {*faults, "timeout"}, kind
            assert str(reply.passages[0].text) == ANSWER, "found by its words"
            assert reply.timings.embed_ms < 1450
        await admin.fault("embeddings", "rate_limited", count=1, retry_after_s=0.05)
        await found_well(clinic)

        await admin.fault("embeddings", "error")
        second = await clinic.upload("more.md", "text/markdown", FAQ.replace(b"dog", b"cat"))
        await clinic.embedded(second, "offline")
        assert (await clinic.document(document)).embeddings == "main"
        await admin.calm()
        await found_well(clinic)
        await clinic.publish(2, MAIN)
        await clinic.embedded(second, "main")
    counted = await house.metrics("rag-svc")
    assert 'switchboard_embeddings_faults_total{endpoint="main",fault="rate_limited"}' in counted
    assert "delivery failed" in house.log("ingest-worker"), "it was waited for before it was done without"
