from __future__ import annotations

import asyncio
import random
import sys
from io import BytesIO
from typing import Any

import pytest
from reportlab.pdfgen.canvas import Canvas
from switchboard.contracts.documents import DocumentStatus
from switchboard.testing.drawn_clinic import Item, draw_clinic, misheard

pytestmark = pytest.mark.integration

SEED = 20

FAQ = b"""# Questions

## Can I bring my dog?
Small dogs are welcome in the waiting room.

## Do you take credit cards?
Yes, all of them.
"""


def price_list(*rows: tuple[str, str, str], title: str = "Facials") -> bytes:
    """A PDF with a drawn table, as an office program would print it."""
    held = BytesIO()
    canvas = Canvas(held)
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(60, 780, title)
    canvas.setFont("Helvetica", 11)
    for at, row in enumerate((("Treatment", "Duration", "Price"), *rows)):
        for x, cell in zip((60, 260, 380), row, strict=True):
            canvas.drawString(x, 740 - 20 * at, cell)
    canvas.showPage()
    canvas.save()
    return held.getvalue()


async def test_an_uploaded_price_list_and_faq_are_found_by_their_clinic_and_by_no_other(house: Any) -> None:
    ours, theirs = await house.clinic(), await house.clinic()
    rows = (("Velora peel", "45 min", "$129"), ("Hydra glow", "60 min", "$185"), ("Brow lift", "20 min", "$45"))

    document, faq = await asyncio.gather(
        ours.upload("prices.pdf", "application/pdf", price_list(*rows)), ours.upload("faq.md", "text/markdown", FAQ)
    )
    foreign = await theirs.upload(
        "prices.pdf", "application/pdf", price_list(("Velora peel", "30 min", "$999"), title="Prices")
    )
    views = await asyncio.gather(ours.ended(document), ours.ended(faq), theirs.ended(foreign))

    assert [(view.status, view.chunks) for view in views] == [
        (DocumentStatus.INDEXED, 3),
        (DocumentStatus.INDEXED, 2),
        (DocumentStatus.INDEXED, 1),
    ]
    best, *_ = await ours.headings_and_texts("how much is a velora peel")
    assert best == ("Facials", "Treatment: Velora peel | Duration: 45 min | Price: $129")
    best, *_ = await ours.headings_and_texts("may i come with my dog")
    assert best == ("Can I bring my dog?", "Small dogs are welcome in the waiting room.")
    found = [text for query in ("velora peel", "dog", "price") for _, text in await theirs.headings_and_texts(query)]
    assert set(found) == {"Treatment: Velora peel | Duration: 30 min | Price: $999"}
    assert "Velora" not in house.log("rag-svc") + house.log("ingest-worker")


async def test_documents_that_can_t_be_read_fail_with_a_reason_and_are_not_tried_again(house: Any) -> None:
    clinic = await house.clinic()
    picture = BytesIO()
    canvas = Canvas(picture)
    canvas.rect(50, 50, 300, 300, fill=1)
    canvas.showPage()
    canvas.save()
    locked = BytesIO()
    canvas = Canvas(locked, encrypt="secret")
    canvas.drawString(60, 700, "Velora peel $129")
    canvas.save()
    whole = price_list(("Velora peel", "45 min", "$129"))
    uploads: list[tuple[Any, bytes, str]] = [
        ("application/pdf", b"%PDF-1.7\n" + b"\x00nonsense" * 500, "damaged"),
        ("application/pdf", whole[: len(whole) // 3], "damaged"),
        ("application/pdf", locked.getvalue(), "password"),
        ("application/pdf", picture.getvalue(), "only pictures"),
        ("text/plain", b" \n\n", "no text"),
        ("text/plain", bytes(range(256)) * 20, "not a text file"),
    ]

    documents = await asyncio.gather(*(clinic.upload("upload", kind, data) for kind, data, _ in uploads))
    views = await asyncio.gather(*(clinic.ended(document) for document in documents))

    assert {view.status for view in views} == {DocumentStatus.FAILED}
    for view, (_, _, words) in zip(views, uploads, strict=True):
        assert view.reason is not None and words in view.reason
    assert "delivery failed" not in house.log("ingest-worker")
    assert "dead letter" not in house.log("ingest-worker")


async def test_callers_questions_find_the_right_passage_in_documents_drawn_at_random(
    house: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(SEED)
    drawn = draw_clinic(draw)
    clinic = await house.clinic()
    documents = await asyncio.gather(
        clinic.upload("prices.pdf", "application/pdf", drawn.price_list()),
        clinic.upload("faq.md", "text/markdown", drawn.faq()),
    )
    views = await asyncio.gather(*(clinic.ended(document) for document in documents))
    assert [view.chunks for view in views] == [len(drawn.items), len(drawn.topics)]

    def row(item: Item) -> str:
        return f"Treatment: {item.name} | Duration: {item.duration} | Price: {item.price}"

    prices = drawn.price_questions(draw, 100)
    asked = {
        "price": [(question, row(item)) for question, item in prices],
        "price, one word misheard": [(misheard(draw, question), row(item)) for question, item in prices],
        "question": drawn.faq_questions(),
    }
    first: dict[str, float] = {}
    third: dict[str, float] = {}
    for kind, questions in asked.items():
        places = [await clinic.headings_and_texts(question) for question, _ in questions]
        right = [[wanted in passage for passage in found] for found, (_, wanted) in zip(places, questions, strict=True)]
        first[kind] = sum(marks[:1] == [True] for marks in right) / len(right)
        third[kind] = sum(any(marks) for marks in right) / len(right)
        with capsys.disabled():
            sys.stdout.write(
                f"\n  retrieval, seed {SEED}: {kind} ({len(right)}): right passage first {first[kind]:.0%}, "
                f"among three {third[kind]:.0%}"
            )

    # Far enough below what is measured (over four seeds 100, 79 and 82 per cent first) that another seed passes too.
    assert first["price"] >= 0.97
    assert third["price, one word misheard"] >= 0.75
    assert first["question"] >= 0.65 and third["question"] >= 0.9
