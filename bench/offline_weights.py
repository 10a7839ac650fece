"""Fits the weights of ``voice_agent.offline.relevance`` on the development clinics; says how they do on a clinic left out.

    python -m bench.offline_weights [--seed N]

Every question is asked with a perfect transcript. Questions that a clinic's documents can't answer, and those about prices
at another kind of clinic, show what is no answer
(some of these are answered rightly all the same). Run it when a feature or a word list changes, and copy the two lines.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog
from numpy.typing import NDArray
from voice_agent.adapters.offline_brain import profile_passages
from voice_agent.conversation.core import MAX_QUERIES
from voice_agent.offline import phrasing
from voice_agent.offline.answers import Passage
from voice_agent.offline.asked import question_of
from voice_agent.offline.asking import classify
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.matching import known_facts
from voice_agent.offline.question import retrieval_queries
from voice_agent.offline.relevance import SURE, candidates
from voice_agent.offline.spoken import words

from bench.offline.call import Place, place
from bench.offline.clinics import Clinic, Question, load
from bench.offline.judge import judge
from bench.offline.knowledge import Knowledge, opened

STRANGERS = 70  # questions of other clinics, asked of each
PENALTY = 5.0  # on the squares of the standardised weights
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """A fact that was not refused for a question, and whether it is the answer."""

    clinic: str
    asked: str
    item: bool
    features: tuple[float, ...]
    right: bool


async def examples(where: Place, question: Question, knowledge: Knowledge) -> list[Example]:
    """What the answerer would weigh up."""
    text = " ".join(words(question.text))
    found = await knowledge.search(where.tenant, retrieval_queries([text], MAX_QUERIES))
    passages = [Passage(str(s.passage_id), str(s.document_id), s.heading, s.text, s.score, s.similarity) for s in found]
    asking = classify(Hypotheses.of_text(text, confidence=0.97).alternatives[0])
    made: list[Example] = []
    for pair in candidates(question_of(asking), known_facts([*passages, *profile_passages(where.snapshot)])):
        fact = pair.known.fact
        said = phrasing.price(fact) if pair.item else phrasing.statement(fact, [word.text for word in asking.content])
        if pair.item and asking.kind == "duration":
            said = phrasing.duration(fact) or ""
        right = question.form != "nowhere" and judge(where.clinic, question, "answered", said) == "right"
        if not pair.doubtful:
            made.append(Example(where.clinic.key, f"{question.form} {text}", pair.item, pair.features, right))
    return made


def strangers(clinic: Clinic, clinics: Sequence[Clinic], draw: random.Random) -> list[Question]:
    """Questions to other clinics that this one can't answer, as far as a script can tell."""
    others = [
        replace(question, clinic=clinic.key, form="nowhere", right=())
        for other in clinics
        for question in other.questions
        if other.key != clinic.key
        and (question.form == "nowhere" or any("dollars" in part for way in question.right for part in way))
    ]
    return draw.sample(others, min(STRANGERS, len(others)))


def fit(rows: Sequence[Example]) -> Array:
    """Bias and weights of a ridge logistic regression, by Newton's method."""
    features = np.array([row.features for row in rows])
    mean, spread = features.mean(0), features.std(0) + 1e-6
    inputs = np.c_[np.ones(len(rows)), (features - mean) / spread]
    right = np.array([float(row.right) for row in rows])
    penalty = np.r_[0.0, np.full(inputs.shape[1] - 1, PENALTY)]
    weights = np.zeros(inputs.shape[1])
    for _ in range(40):
        likely = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (likely - right) + penalty * weights
        curve = (inputs.T * (likely * (1 - likely))) @ inputs + np.diag(penalty)
        weights = weights - np.linalg.solve(curve, slope)
    scaled = weights[1:] / spread
    fitted: Array = np.r_[weights[0] - scaled @ mean, scaled]
    return fitted


def left_out(rows: Sequence[Example]) -> tuple[int, int, int]:
    """(right, wrong, silent) by the best fact of each question, each clinic answered with the others' weights."""
    best: dict[tuple[str, str], tuple[float, bool]] = defaultdict(lambda: (0.0, False))
    for clinic in sorted({row.clinic for row in rows}):
        for item in (True, False):
            weights = fit([row for row in rows if row.item is item and row.clinic != clinic])
            for row in rows:
                if row.item is item and row.clinic == clinic:
                    likely = float(1 / (1 + np.exp(-(weights[0] + np.dot(weights[1:], row.features)))))
                    best[clinic, row.asked] = max(best[clinic, row.asked], (likely, row.right))
    sure = [right for likely, right in best.values() if likely >= SURE]
    return sum(sure), len(sure) - sum(sure), len(best) - len(sure)


async def gathered(seed: int) -> list[Example]:
    """Examples of every development clinic."""
    draw, rows, clinics = random.Random(seed), list[Example](), load("development", seed)
    async with opened() as knowledge:
        for clinic in clinics:
            where = await place(clinic, knowledge)
            for question in (*clinic.questions, *strangers(clinic, clinics, draw)):
                rows += await examples(where, question, knowledge)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Weights of the offline answerer.")
    parser.add_argument("--seed", type=int, default=1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = asyncio.run(gathered(parser.parse_args(arguments).seed))
    right, wrong, silent = left_out(rows)
    print(f"clinic left out, questions with a fact to weigh up: {right} right, {wrong} wrong, {silent} not answered")
    for name, item in (("ENTRY_WEIGHTS", False), ("ITEM_WEIGHTS", True)):
        weights = fit([row for row in rows if row.item is item])
        print(f"{name} = ({', '.join(f'{weight:.2f}' for weight in weights)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
