"""Facts read from the layouts that ingestion produces."""

import pytest
from voice_agent.offline.documents import facts, priced_items

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "| Treatment | Price |\n|---|---|\n| Velora peel | $129 |",
        "Treatment | Price\nVelora peel | 129",
        "Treatment: Velora peel | Price: $129",
        "Velora peel ........ $129",
        "Velora peel - $129",
        "- Velora peel: $129",
        "Velora peel (45 min)  $129",
        "Velora peel\n$129",
        "A velora peel costs $129.",
        "**Velora peel** | $129",
    ],
)
def test_a_price_row_in_any_layout(text: str) -> None:
    found = [fact for fact in facts(text) if fact.kind == "price"]
    assert [(fact.subject.lower(), fact.says) for fact in found] == [("velora peel", "$129")]


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("Q: Where can I park?\nA: Behind the building.", "FAQ"),
        ("Where can I park?\nBehind the building.", ""),
        ("## Where can I park?\nBehind the building.", ""),
        ("Behind the building.", "Where can I park?"),
        ("Q: Where can I park? A: Behind the building.", ""),
    ],
)
def test_a_question_with_its_answer_in_any_layout(text: str, heading: str) -> None:
    assert [(f.kind, f.subject, f.says) for f in facts(text, heading)] == [
        ("answer", "Where can I park?", "Behind the building.")
    ]


def test_hours_labels_prose_and_columns() -> None:
    found = facts("Mon-Fri: 9:00-17:00\nSunday: closed\nParking: use the garage\n\n# Refunds\nAsk us within a week.")
    assert [(f.kind, f.subject, f.says) for f in found] == [
        ("hours", "Mon-Fri", "9:00-17:00"),
        ("hours", "Sunday", "closed"),
        ("answer", "Parking", "use the garage"),
        ("prose", "Refunds", "Ask us within a week."),
    ]
    row = facts("| Treatment | Duration | Single | Pack of 3 |\n|---|---|---|---|\n| Glow | 30 min | $50 | $120 |")[0]
    assert row.details == (("Duration", "30 min"), ("Pack of 3", "$120"))


def test_a_fee_in_an_answer_is_not_a_price_row() -> None:
    found = facts("Q: What is your cancellation policy?\nA: Late cancellations are charged $42.")
    assert priced_items(found) == []
