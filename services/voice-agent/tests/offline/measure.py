# ruff: noqa: T201
"""Measures ear and answerer together on clinics drawn at random; run by hand, not a test.

    python services/voice-agent/tests/offline/measure.py [--seeds 6] [--first 1] [--verbose]

Each clinic has a drawn price list (real and invented names) and FAQ. espeak-ng callers in several voices ask through
8 kHz mu-law; retrieval is the five passages with the most words in common with the best readings. A caller who is
asked again repeats the question, at most twice. Judged by the text of the decision: right price or fact, refusal for
what no document says. Printed: how many were right at once, after one repetition, after two, given up, wrong.
"""

import argparse
import asyncio
import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from voice_agent.offline import sound
from voice_agent.offline.answerer import AskAgain, DontKnow, Passage, decide
from voice_agent.offline.asking import meaning
from voice_agent.offline.ear import Ear
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import build_language_model
from voice_agent.offline.phrases import function_words
from voice_agent.offline.spoken import words
from voice_agent.offline.voice import read_wav

REAL = [
    "Botox", "Lip filler", "Teeth whitening", "Deep tissue massage", "Swedish massage", "Chemical peel",
    "Laser hair removal", "Night guard", "Microneedling", "Hydrating facial", "Root canal", "Dental implant",
    "Porcelain crown", "Wisdom tooth extraction", "Composite filling", "Eyebrow shaping", "Skin tag removal",
    "Hot stone massage", "Oxygen facial", "Acne treatment", "Scalp treatment", "Body contouring",
    "Vitamin infusion", "Back facial", "Cavity check", "Express manicure", "Ear seeding", "Cupping therapy",
    "Retainer repair",
]  # fmt: skip
HEADS = [
    "peel", "facial", "wrap", "polish", "massage", "therapy", "treatment", "scrub", "glow", "scaling", "rinse",
    "implant", "seal", "veneer", "bath", "session", "lift", "mask", "cleanse", "consultation",
]  # fmt: skip
ONSETS = [
    "b", "br", "c", "d", "f", "g", "gl", "h", "j", "k", "l", "m", "n", "p", "pr", "qu", "r", "s", "sh", "st", "t",
    "tr", "v", "w", "z",
]  # fmt: skip
VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "ia", "io"]
CODAS = ["b", "d", "l", "m", "n", "nd", "r", "rn", "s", "st", "th", "v", "x"]
PRICES = (
    "how much is a {}",
    "what does a {} cost",
    "how much is the {}",
    "what's the price of a {}",
    "how much do you charge for a {}",
    "hi how much does the {} cost",
    "could you tell me how much the {} is",
    "i'd like to know the price of the {}",
    "how much for a {}",
)
FAQ: list[tuple[str, str, list[str], str]] = [
    ("Where can I park?", "Parking is free in the lot behind the building.",
     ["where can i park", "do you have parking", "is there parking at the clinic"], "lot behind"),
    ("Do you accept insurance?", "We accept Aetna, Cigna and Blue Cross.",
     ["do you accept insurance", "what insurance do you take", "can i pay with insurance"], "aetna"),
    ("What is your cancellation policy?", "Please cancel at least 24 hours ahead, or we charge a fee of $%d.",
     ["what's your cancellation policy", "can i cancel my appointment", "how much notice do you need to cancel"],
     "24 hours"),
    ("Do you offer gift cards?", "Yes, gift cards are sold at the front desk in any amount.",
     ["do you offer gift cards", "do you sell gift cards", "can i buy a gift card"], "front desk"),
    ("How early should I arrive?", "Please arrive 15 minutes before your first visit.",
     ["how early should i arrive", "how early should i come for my appointment"], "15 minutes"),
    ("Can I bring my children?", "Children are welcome, and there is a play corner.",
     ["can i bring my children", "can i bring my kids", "are children welcome"], "play corner"),
    ("Do you treat pregnant patients?", "Yes, but we do not use lasers during pregnancy.",
     ["do you treat pregnant patients", "can i come if i am pregnant"], "during pregnancy"),
    ("Is there wifi?", "The guest network is free, ask at reception.", ["is there wifi", "do you have wifi"], "guest"),
    ("Which languages do you speak?", "We speak English, Spanish and Polish.",
     ["which languages do you speak", "do you speak spanish", "what languages do you speak"], "polish"),
    ("Do you offer payment plans?", "Yes, you can pay in three monthly installments.",
     ["do you offer payment plans", "can i pay in installments", "do you have a payment plan"], "three monthly"),
    ("How do I prepare for a treatment?", "Avoid sun and retinol for two days before.",
     ["how do i prepare for a treatment", "how should i prepare for my treatment"], "avoid sun"),
    ("What happens if I am late?", "After a delay of 15 minutes we may have to rebook you.",
     ["what happens if i am late", "what if i am running late"], "rebook"),
]  # fmt: skip
HOURS = "Monday to Friday: 9:00 AM to 5:30 PM\nSaturday: 10:00 AM to 2:00 PM\nSunday: closed"
HOURS_ASKED = [("are you open on saturday", "ten"), ("when are you open on sunday", "closed"),
               ("what are your opening hours", "five thirty"), ("when do you close on monday", "five thirty")]  # fmt: skip
NOWHERE = [
    "do you do tattoo removal", "do you accept pets", "is there a swimming pool", "how much is a haircut",
    "do you have a podiatrist", "do you sell sunglasses", "can i get a covid vaccine", "what is the name of the owner",
    "how much is a flu shot", "do you offer hypnosis", "can you fix my car", "who won the game last night",
    "do you have valet service", "are you hiring", "how much does a hearing aid cost", "do you take apple pay",
    "can i get a copy of my medical records", "do you offer laser eye surgery", "how much is a cooking class",
    "is there an elevator in the building", "how much is a chimney sweep", "do you treat broken bones",
    "do you have a waiting list", "can i rent a wheelchair",
]  # fmt: skip
VOICES = ("en-us+m1", "en-gb+f1", "en-us", "en-us+f3", "en-gb", "en-us+Andrea", "en-gb+m4", "en-us+f1")


@dataclass(frozen=True)
class Question:
    """What is asked, what the answer must contain (empty: a refusal), and what it must not contain."""

    kind: str
    text: str
    right: str
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Clinic:
    """A drawn clinic."""

    passages: list[Passage]
    questions: list[Question]


def invented(dice: random.Random) -> str:
    """A name that nobody has heard."""
    count = dice.choice((2, 2, 3))
    parts = [
        dice.choice(ONSETS)
        + dice.choice(VOWELS)
        + (dice.choice(CODAS) if at < count - 1 and dice.random() < 0.4 else "")
        for at in range(count)
    ]
    return ("".join(parts) + dice.choice(["", "n", "ra", "l", "th", "que", "s", "x", "la"])).capitalize()


def price_list(dice: random.Random, layout: int) -> dict[str, tuple[int, str]]:
    """Names with their price and line."""
    count = dice.randint(8, 16)
    names = dice.sample(REAL, count // 2)
    while len(names) < count:
        names.append(f"{invented(dice)} {dice.choice(HEADS)}")
    dice.shuffle(names)
    prices = dice.sample(range(20, 900), count)
    shapes = ("| {} | 30 min | ${} |", "{} ........ ${}", "{}: ${}")
    return {name: (price, shapes[layout].format(name, price)) for name, price in zip(names, prices, strict=True)}


def clinic(seed: int) -> Clinic:
    """Everything about one clinic follows from the seed."""
    dice, layout = random.Random(seed), seed % 3
    listed = price_list(dice, layout)
    lines = [line for _, line in listed.values()]
    head = "| Treatment | Duration | Price |\n|---|---|---|\n" if layout == 0 else ""
    half = len(lines) // 2
    texts = [("Treatments", head + "\n".join(lines[:half])), ("More treatments", head + "\n".join(lines[half:]))]
    asked: list[Question] = []
    for name in dice.sample(list(listed), 8):
        others = tuple(f"{price} dollars" for price, _ in listed.values() if price != listed[name][0])
        asked.append(Question("price", dice.choice(PRICES).format(name.lower()), f"{listed[name][0]} dollars", others))
    never = tuple(f"{price} dollars" for price, _ in listed.values())
    for question, answer, ways, key in dice.sample(FAQ, 8):
        said = answer % dice.randrange(900, 999) if "%d" in answer else answer
        texts.append((question, said) if layout == 1 else ("Questions", f"Q: {question}\nA: {said}"))
        asked.append(Question("faq", dice.choice(ways), key, never))
    texts.append(("Opening hours", HOURS))
    asked += [Question("hours", text, key, never) for text, key in dice.sample(HOURS_ASKED, 2)]
    stated = " ".join(text for _, text in texts).lower()
    asked += [Question("nowhere", text, "", ()) for text in dice.sample(NOWHERE, 6)]
    for _ in range(4):  # names that nobody has, but with the last word of one on the list: the trap for a wrong price
        unknown = f"{invented(dice)} {dice.choice(list(listed)).split()[-1]}".lower()
        if unknown not in stated:
            asked.append(Question("twin", dice.choice(PRICES).format(unknown), "", never))
    return Clinic([Passage(str(at), "d", heading, text) for at, (heading, text) in enumerate(texts)], asked)


def retrieve(passages: list[Passage], heard: Hypotheses) -> list[Passage]:
    """The five passages that share most words with the readings; a stand-in for the real search."""
    asked = [word.text for reading in heard.alternatives[:3] for word in reading.words]
    wanted = {meaning(word) for word in asked if word not in function_words()}
    stated = [{meaning(word) for word in words(f"{p.heading} {p.text}")} for p in passages]
    rare = {word: 1 / (1 + sum(word in text for text in stated)) for word in wanted}

    def common(passage: Passage) -> float:
        return -sum(rare[word] for word in wanted & stated[passages.index(passage)])

    return sorted(passages, key=common)[:5]


def say(text: str, voice: str, speed: int) -> sound.Samples:
    """A caller's sentence as the ear gets it, with half a second of silence at its end."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "--stdout", text]
    samples, rate = read_wav(subprocess.run(command, capture_output=True, check=True).stdout)
    heard = sound.through_telephone(samples, rate)
    return np.concatenate(
        [np.zeros(sound.EAR_RATE * 3 // 10, np.int16), heard, np.zeros(sound.EAR_RATE // 2, np.int16)]
    )


async def converse(ear: Ear, place: Clinic, question: Question, voice: str, speed: int) -> tuple[str, list[str]]:
    """One question with up to two repetitions: the outcome and what was heard and said."""
    asked: list[AskAgain] = []
    notes: list[str] = []
    for attempt in range(3):
        audio = say(question.text, voice, speed)
        await ear.start()
        for at in range(0, len(audio), 1600):
            await ear.feed(audio[at : at + 1600])
        heard = await ear.finish()
        decision = decide(heard, retrieve(place.passages, heard), asked=asked)
        confidences = heard.alternatives[0].words if heard.alternatives else ()
        notes.append(" ".join(f"{w.text}:{w.confidence:.2f}" for w in confidences))
        if isinstance(decision, AskAgain):
            notes.append(f"    {decision.prompt}")
            asked.append(decision)
            continue
        notes.append(f"    {decision.text}")
        low = decision.text.lower()
        if any(f" {wrong}" in low for wrong in question.wrong):
            return "WRONG PRICE", notes
        if isinstance(decision, DontKnow):
            if question.right:
                return "not answered" if decision.understood else "given up", notes
            return f"right {attempt}", notes
        return (f"right {attempt}" if question.right and question.right in low else "WRONG"), notes
    return "given up" if question.right else "right 2", notes


async def run(seeds: range, *, verbose: bool) -> None:
    """Prints a line per kind of question."""
    tally: dict[str, Counter[str]] = {}
    building: list[float] = []
    for seed in seeds:
        place = clinic(seed)
        began = time.perf_counter()
        model = build_language_model([f"# {p.heading}\n{p.text}" for p in place.passages], names=["Harbor Clinic"])
        building.append(time.perf_counter() - began)
        ear = Ear(timeout=120)
        await ear.load(model)
        dice = random.Random(seed)
        for question in place.questions:
            voice, speed = dice.choice(VOICES), dice.choice((150, 160, 175))
            outcome, notes = await converse(ear, place, question, voice, speed)
            tally.setdefault(question.kind, Counter())[outcome] += 1
            if verbose and outcome != "right 0":
                print(f"{seed} {voice} {question.kind}: {question.text} -> {outcome}")
                print("\n".join(f"      {note}" for note in notes))
        await ear.aclose()
    for kind, counts in tally.items():
        total = counts.total()
        within = sum(counts[f"right {tries}"] for tries in (0, 1))
        print(f"{kind:8} n={total:3}  right at once {counts['right 0'] / total:.0%}, within two tries {within / total:.0%}",
              dict(counts))  # fmt: skip
    print(f"language model {np.median(building):.2f} s (median of {len(building)})")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    asyncio.run(run(range(given.first, given.first + given.seeds), verbose=given.verbose))


if __name__ == "__main__":
    main()
