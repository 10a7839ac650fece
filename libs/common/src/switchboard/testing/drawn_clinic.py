"""A clinic's documents drawn at random, with questions whose right answer is known. Nothing can be tuned to a list of them.

Treatment names are made of an invented word or a usual one and a part of the body, and come in families ("laser hair removal
upper lip", "... full legs"), which is what makes price lists hard.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from io import BytesIO

_FIRST = ("ve", "lu", "mi", "sa", "no", "ca", "ori", "el", "ta", "bri", "zen", "aqua", "der", "hy", "pla")
_LAST = ("lora", "mina", "resse", "dexa", "vian", "lume", "thera", "nova", "siva", "cura", "bella", "dora", "ris")
_KINDS = (
    "peel",
    "facial",
    "serum mask",
    "massage",
    "lift",
    "wrap",
    "light therapy",
    "micro needling",
    "filler",
    "scrub",
)
_FAMILIES = (
    "laser hair removal",
    "waxing",
    "threading",
    "cleaning",
    "whitening",
    "check-up",
    "vein treatment",
    "tattoo removal",
)
_AREAS = ("upper lip", "full legs", "half legs", "underarms", "back", "chin", "full face", "arms", "children", "deluxe")
_HEADINGS = ("Facials", "Body", "Hair removal", "Specials", "Dental", "Skin", "Express")

ASKING = (
    "how much is the {}",
    "how much is a {}",
    "what does the {} cost",
    "what do you charge for {}",
    "hi i wanted to know the price of the {} please",
    "can you tell me how much you take for a {}",
    "and the {}",
)

# Question as the clinic writes it, answer, and how callers ask for the same. The answers share no word with some of these.
TOPICS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Do you accept walk-ins?",
        "Yes, on weekdays before noon, when a room is free.",
        ("can i just come by without an appointment", "do i need to book", "could i drop in this morning"),
    ),
    (
        "Where can I park?",
        "There is a garage behind the building; the first hour is free.",
        ("is there parking", "i am coming by car where do i leave it", "do you have a car park"),
    ),
    (
        "What is your cancellation policy?",
        "Please call at least 24 hours ahead, otherwise we charge half of the price.",
        ("what if i have to cancel", "can i move my appointment to another day", "do i pay when i don't show up"),
    ),
    (
        "Which payment methods do you take?",
        "Cash, all major cards and bank transfer.",
        ("can i pay by card", "do you take visa", "how can i pay"),
    ),
    (
        "Do you accept insurance?",
        "We bill private insurers directly; public ones only for medical treatments.",
        ("is this covered by my health plan", "do you work with my insurance company", "will the insurer pay for it"),
    ),
    (
        "Can I bring my children?",
        "There is a play corner, and somebody looks after them while you are treated.",
        ("may i bring my kids along", "i have a toddler with me is that okay", "is there childcare"),
    ),
    (
        "Is the entrance wheelchair accessible?",
        "Yes, there is a ramp on the left side and a lift to every floor.",
        ("i use a wheelchair can i get in", "are there stairs", "is there an elevator"),
    ),
    (
        "How should I prepare for a laser session?",
        "Shave the day before, and stay out of the sun for two weeks.",
        ("what do i have to do before the laser", "can i sunbathe before my laser appointment", "should i shave first"),
    ),
    (
        "Do you sell gift vouchers?",
        "Yes, at the desk and in our online shop, from 25 upwards.",
        ("i want to give a treatment as a present", "do you have gift cards", "can i buy a voucher for my mother"),
    ),
    (
        "Do you treat pregnant women?",
        "Only with massages and facials without active substances.",
        ("i am expecting a baby can i come", "is it safe during pregnancy", "i'm pregnant what can i have"),
    ),
    (
        "What languages do you speak?",
        "English, Spanish and Polish.",
        ("does anybody there speak spanish", "can i talk to someone in polish", "which languages do you know"),
    ),
    (
        "What should I do if I have a reaction after a treatment?",
        "Cool the skin and call us; at night our emergency line is on the website.",
        (
            "my skin is burning since yesterday",
            "my face is red and swollen after the treatment",
            "who do i call in an emergency",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A row of the price list. ``price`` is as printed."""

    name: str
    duration: str
    price: str


@dataclass(frozen=True, slots=True)
class DrawnClinic:
    """``sections``: heading and rows of the price list. ``topics``: the FAQ."""

    sections: tuple[tuple[str, tuple[Item, ...]], ...]
    topics: tuple[tuple[str, str, tuple[str, ...]], ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(item for _, rows in self.sections for item in rows)

    def faq(self) -> bytes:
        """Markdown."""
        return "\n\n".join(f"## {question}\n{answer}" for question, answer, _ in self.topics).encode()

    def price_list(self) -> bytes:
        """A PDF with a table per section, over as many pages as it takes."""
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

        styles = getSampleStyleSheet()
        story: list[object] = [Paragraph("Price list", styles["Title"])]
        for heading, rows in self.sections:
            story += [Paragraph(heading, styles["Heading2"])]
            cells = [("Treatment", "Duration", "Price"), *((row.name, row.duration, row.price) for row in rows)]
            story += [Table(cells, colWidths=(260, 90, 70)), Spacer(1, 12)]
        held = BytesIO()
        SimpleDocTemplate(held).build(story)
        return held.getvalue()

    def price_questions(self, draw: random.Random, count: int) -> list[tuple[str, Item]]:
        chosen = [draw.choice(self.items) for _ in range(count)]
        return [(draw.choice(ASKING).format(item.name.lower()), item) for item in chosen]

    def faq_questions(self) -> list[tuple[str, str]]:
        """(what a caller says, the question that answers it)."""
        return [(asked, question) for question, _, ways in self.topics for asked in ways]


def draw_clinic(draw: random.Random, items: int = 40) -> DrawnClinic:
    """``items`` different treatments under a few headings, and every topic of the FAQ in random order."""
    names: dict[str, None] = {}
    while len(names) < items:
        if draw.random() < 0.5:
            names[f"{draw.choice(_FIRST)}{draw.choice(_LAST)} {draw.choice(_KINDS)}".capitalize()] = None
        else:
            names[f"{draw.choice(_FAMILIES)} {draw.choice(_AREAS)}".capitalize()] = None
    rows = [Item(name, f"{draw.randrange(15, 120, 5)} min", f"${draw.randrange(25, 900)}") for name in names]
    headings = draw.sample(_HEADINGS, 4)
    size = -(-len(rows) // len(headings))
    sections = tuple((heading, tuple(rows[at * size : (at + 1) * size])) for at, heading in enumerate(headings))
    return DrawnClinic(sections, tuple(draw.sample(TOPICS, len(TOPICS))))


def misheard(draw: random.Random, question: str) -> str:
    """``question`` as a recogniser may give it: one of its longer words has become another."""
    words = question.split()
    long = [at for at, word in enumerate(words) if len(word) > 4]
    if long:
        at = draw.choice(long)
        words[at] = draw.choice(("the law", "valore", "minute", "beside", "her face", "and", "are", "peeling"))
    return " ".join(words)
