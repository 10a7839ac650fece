from __future__ import annotations

from uuid import UUID

import pytest
from rag_svc.search.fusion import Ranking, fuse, query_weight

pytestmark = pytest.mark.unit

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def hits(*ids: UUID) -> list[tuple[UUID, float]]:
    return [(one, 1.0) for one in ids]


def test_what_two_rankings_agree_on_comes_first() -> None:
    fused = fuse([Ranking(hits(A, B), 1), Ranking(hits(C, B), 1)], 3)

    assert [one for one, _ in fused] == [B, A, C]


def test_a_ranking_counts_by_its_weight_and_a_hit_by_its_share() -> None:
    assert fuse([Ranking(hits(A), 0.5), Ranking(hits(B), 1)], 1)[0][0] == B
    assert fuse([Ranking([(A, 0.2)], 1), Ranking([(B, 0.9)], 1)], 1)[0][0] == B


def test_equal_scores_keep_the_order_in_which_they_were_named() -> None:
    assert [one for one, _ in fuse([Ranking(hits(D), 1), Ranking(hits(A), 1)], 2)] == [D, A]


def test_no_more_than_asked_for_and_nothing_from_nothing() -> None:
    assert len(fuse([Ranking(hits(A, B, C, D), 1)], 2)) == 2
    assert fuse([], 5) == []


def test_the_first_query_counts_most() -> None:
    weights = [query_weight(position) for position in range(5)]
    assert weights == sorted(weights, reverse=True) and weights[0] == 1
