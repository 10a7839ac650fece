"""Where the question begins in what a caller says, and what its idioms are about."""

import pytest
from voice_agent.offline.question import clause_start, ideas, retrieval_queries

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("said", "question"),
    [
        ("my hedge is much too high what would you charge to trim it", "what would you charge to trim it"),
        ("do you prune trees and what's the price", "what's the price"),
        ("could you tell me how much a lawn costs", "could you tell me how much a lawn costs"),
        ("how old does my tree have to be", "how old does my tree have to be"),
        ("is there a bench where i can sit", "is there a bench where i can sit"),
        ("i was wondering whether you have ladders", "whether you have ladders"),
        ("a rose please", "a rose please"),
    ],
)
def test_the_last_whole_question_is_what_is_asked(said: str, question: str) -> None:
    texts = said.split()
    assert " ".join(texts[clause_start(texts) :]) == question


@pytest.mark.parametrize(
    ("said", "idea"),
    [
        ("something came up and i can't make it tomorrow", "cancel"),
        ("where do i leave my car", "parking"),
        ("could you come to our house", "homevisit"),
        ("can i pay it off bit by bit", "installments"),
    ],
)
def test_idioms_stand_for_what_documents_call_it(said: str, idea: str) -> None:
    assert idea in ideas(said)


def test_the_question_alone_is_looked_up_too_with_the_words_of_documents() -> None:
    whole = "um my roses look awful can i just drop by"
    first, second = retrieval_queries([whole], 4)
    assert first == whole
    assert second.startswith("can i just drop by walk-in")


def test_a_clause_that_only_points_is_looked_up_with_its_story() -> None:
    assert "hedge" in retrieval_queries(["um i need my hedge cut how much is that", "i need my head"], 4)[1]
    assert retrieval_queries([], 4) == ()
