from __future__ import annotations

import pytest
from ingest_worker.chunking.chunker import MAX_WORDS, chunk
from ingest_worker.parsing.blocks import Block, Heading, Paragraph, Table
from ingest_worker.parsing.text import parse_text

pytestmark = pytest.mark.unit


def chunks(*blocks: Block) -> list[tuple[str, str]]:
    return [(draft.heading, draft.text) for draft in chunk(blocks)]


def test_each_row_of_a_price_list_is_a_chunk_with_its_labels_under_its_headings() -> None:
    table = Table(
        ("Treatment", "Duration", "Price"), (("Velora peel", "45 min", "$129"), ("Brow lift", "", "from $45"))
    )

    assert chunks(Heading("Prices 2026", 1), Heading("Facials", 2), table) == [
        ("Prices 2026 > Facials", "Treatment: Velora peel | Duration: 45 min | Price: $129"),
        ("Prices 2026 > Facials", "Treatment: Brow lift | Price: from $45"),
    ]


def test_a_price_list_without_header_gets_labels_by_what_the_cells_look_like() -> None:
    table = Table(None, (("$129", "Velora peel", "45 min"), ("$45", "Brow lift", "20 min")))

    assert chunks(table)[0] == ("", "Price: $129 | Treatment: Velora peel | Duration: 45 min")


def test_bare_amounts_are_prices_when_their_header_says_so() -> None:
    assert chunks(Table(("Service", "Price (EUR)"), (("Check-up", "80"),))) == [
        ("", "Service: Check-up | Price (EUR): 80")
    ]


def test_opening_hours_stay_together_as_lines() -> None:
    hours = Table(None, (("Monday to Friday", "9:00 - 18:00"), ("Sunday", "closed")))

    assert chunks(Heading("Opening hours", 1), hours) == [
        ("Opening hours", "Monday to Friday: 9:00 - 18:00\nSunday: closed")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "## Can I bring my dog?\nSmall dogs are welcome.\n\nPlease use the side door.",
        "**Can I bring my dog?**\n\nSmall dogs are welcome.\n\nPlease use the side door.",
        "Q: Can I bring my dog?\nA: Small dogs are welcome.\n\nPlease use the side door.",
        "Can I bring my dog?\nSmall dogs are welcome.\n\nPlease use the side door.",
        "3. Can I bring my dog? Small dogs are welcome.\n\nPlease use the side door.",
    ],
)
def test_a_question_and_its_answer_are_one_chunk_however_they_are_written(text: str) -> None:
    found = chunks(*parse_text(f"# FAQ\n\n{text}\n\n## Where can I park?\nBehind the house.\n".encode()))

    assert found == [
        ("Can I bring my dog?", "Small dogs are welcome.\nPlease use the side door."),
        ("Where can I park?", "Behind the house."),
    ]


def test_short_paragraphs_are_joined_and_long_ones_are_split_at_sentences() -> None:
    long = " ".join(f"Sentence number {number} says something about the clinic." for number in range(60))

    found = chunks(Heading("About us", 1), Paragraph("We are small."), Paragraph("We are kind."), Paragraph(long))

    assert found[0] == ("About us", "We are small.\nWe are kind.")
    parts = [text for _, text in found[1:]]
    assert len(parts) > 2 and " ".join(parts) == long
    assert all(len(part.split()) <= MAX_WORDS and part.endswith(".") for part in parts)


def test_text_without_spaces_is_split_as_well() -> None:
    assert all(len(text) <= 4000 for _, text in chunks(Paragraph("x" * 50_000)))


def test_headings_of_one_level_replace_each_other() -> None:
    found = chunks(
        Heading("A", 1),
        Heading("B", 2),
        Paragraph("one"),
        Heading("C", 2),
        Paragraph("two"),
        Heading("D", 1),
        Paragraph("3"),
    )

    assert [heading for heading, _ in found] == ["A > B", "A > C", "D"]


def test_each_labelled_line_and_run_in_heading_is_a_chunk() -> None:
    text = (
        b"GOOD TO KNOW\n\nParking: Two spaces in front of the door.\n\nStairs: There are none.\n\n"
        b"**At home.** Keep the wound dry and rest."
    )

    assert [(draft.heading, draft.text) for draft in chunk(parse_text(text))] == [
        ("GOOD TO KNOW", "Parking: Two spaces in front of the door."),
        ("GOOD TO KNOW", "Stairs: There are none."),
        ("GOOD TO KNOW", "At home: Keep the wound dry and rest."),
    ]


def test_a_title_without_marks_ends_the_answer_above_it() -> None:
    text = (
        b"Is there a shower?\nYes, next to the gym.\n\nCar park\nThe car park is under the building.\n\n"
        b"I missed a dose. What now?\nCome as soon as you can."
    )

    assert [(draft.heading, draft.text) for draft in chunk(parse_text(text))] == [
        ("Is there a shower?", "Yes, next to the gym."),
        ("Car park", "The car park is under the building."),
        ("I missed a dose. What now?", "Come as soon as you can."),
    ]


def test_lines_of_a_list_are_no_titles() -> None:
    drafts = chunk(parse_text(b"What to bring\n\n- Your passport\n- A list of all the medicines that you take."))

    assert len(drafts) == 1
