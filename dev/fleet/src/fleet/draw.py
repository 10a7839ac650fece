"""A clinic drawn from a seed: its treatments, prices and rules exist nowhere else, so no answer can be known beforehand."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_WORDS = (
    *("Amber", "Velvet", "Silver", "Ocean", "Crystal", "Garden", "Lemon", "Winter", "Diamond", "Copper"),
    *("Forest", "Honey", "Marble", "Royal", "Sunset", "Harbor", "Meadow", "Pearl", "Cotton", "Desert"),
)
KINDS = ("peel", "facial", "massage", "whitening", "cleaning", "filling", "mask", "scrub", "wrap", "polish", "implant")
TOWNS = ("Brookfield", "Easton", "Kingsley", "Milford", "Northgate", "Oakdale", "Riverside", "Westbury")
TREATMENTS = 12


@dataclass(frozen=True)
class Treatment:
    """A row of the price list; `price` in whole dollars."""

    name: str
    minutes: int
    price: int


@dataclass(frozen=True)
class Topic:
    """What a FAQ may say. `answer` has one `{value}`, which is what a run draws from `values`."""

    question: str
    answer: str
    values: tuple[str, ...]
    asked: tuple[str, ...]


TOPICS = (
    Topic(
        "Where can I park?",
        "Please use the {value} garage behind the building, where the first hour is free.",
        ("station", "garden", "cathedral", "museum", "river"),
        ("where can i park",),
    ),
    Topic(
        "Do you sell gift vouchers?",
        "Yes, we sell gift vouchers from {value} dollars upwards, and they are valid for three years.",
        ("20", "35", "50", "65", "80"),
        ("do you sell gift vouchers", "can i buy a gift voucher"),
    ),
    Topic(
        "Can I bring my children?",
        "Yes, there is a play room on the {value} floor, and somebody looks after your children while you are treated.",
        ("first", "second", "third", "fourth"),
        ("can i bring my children", "can i bring my children with me"),
    ),
    Topic(
        "Which languages do you speak?",
        "At the front desk we speak English and {value}.",
        ("Spanish", "Polish", "Italian", "Turkish", "Russian"),
        ("which languages do you speak", "what languages do you speak"),
    ),
    Topic(
        "How can I pay?",
        "You can pay with any card or in cash at the {value} desk, and we send the receipt by email.",
        ("main", "garden", "green", "second", "corner"),
        ("how can i pay",),
    ),
)
LONG_TOPICS = (
    Topic(
        "What if I have to cancel my appointment?",
        "Please call us at least {value} hours before your appointment, because otherwise we have to charge half of the "
        "price of the treatment, and keep in mind that we can only move an appointment two times.",
        ("12", "24", "36", "48", "72"),
        ("what if i have to cancel my appointment", "can i cancel my appointment"),
    ),
    Topic(
        "Do you accept insurance?",
        "We send the bill straight to the insurance company when you bring your card and a letter from your doctor, and "
        "it usually takes about {value} weeks until the insurance company has paid everything.",
        ("two", "three", "five", "six", "eight"),
        ("do you accept insurance", "do you take my insurance"),
    ),
)


@dataclass(frozen=True)
class Entry:
    """A topic of this run's FAQ with the value drawn for it."""

    topic: Topic
    value: str

    @property
    def answer(self) -> str:
        return self.topic.answer.format(value=self.value)


@dataclass(frozen=True)
class Clinic:
    """Everything that is drawn. `faq` is what the clinic's text says; `absent` is a topic about which nothing does."""

    seed: int
    name: str
    number: str
    treatments: tuple[Treatment, ...]
    faq: tuple[Entry, ...]
    long: Entry
    absent: Topic


def draw_clinic(seed: int) -> Clinic:
    """The clinic of a seed, always the same."""
    rng = random.Random(seed)
    names: dict[str, None] = {}
    while len(names) < TREATMENTS:
        names[f"{rng.choice(FIRST_WORDS)} {rng.choice(KINDS)}"] = None
    prices = rng.sample(range(45, 980), TREATMENTS)
    treatments = tuple(
        Treatment(name, rng.randrange(20, 95, 5), price) for name, price in zip(names, prices, strict=True)
    )
    topics = rng.sample(TOPICS, 4)
    entries = tuple(Entry(topic, rng.choice(topic.values)) for topic in topics[:3])
    long = rng.choice(LONG_TOPICS)
    town = rng.choice(TOWNS)
    return Clinic(
        seed=seed,
        name=f"{town} Clinic",
        number=f"+1555{rng.randrange(10**6, 10**7)}",
        treatments=treatments,
        faq=entries,
        long=Entry(long, rng.choice(long.values)),
        absent=topics[3],
    )
