"""One ranking out of many (reciprocal rank fusion). Pure.

Each ranking is one query seen by one method. Ranks, not scores, are added up: a cosine and a word score don't compare.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

OFFSET = 10
"""How fast a lower rank counts less. The usual 60 is for hundreds of results of many systems; with short lists it made
second-best in both methods beat best in one, which is the table row that was asked for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """``hits``: ids, best first, each with how much it counts (0..1). ``weight`` is how much the whole ranking counts."""

    hits: Sequence[tuple[UUID, float]]
    weight: float


def fuse(rankings: Sequence[Ranking], limit: int) -> list[tuple[UUID, float]]:
    """The best ``limit`` ids with their summed ``weight * share / (OFFSET + rank)``, rank counted from 1.

    Equal scores stand in the order in which the rankings first name them, so the result never depends on chance.
    """
    scores: defaultdict[UUID, float] = defaultdict(float)
    for ranking in rankings:
        for rank, (identifier, share) in enumerate(ranking.hits, 1):
            scores[identifier] += ranking.weight * share / (OFFSET + rank)
    return sorted(scores.items(), key=lambda item: -item[1])[:limit]


def query_weight(position: int) -> float:
    """The first query is what the caller most likely said; the others are what else they may have said."""
    return 1.0 / (1 + position)
