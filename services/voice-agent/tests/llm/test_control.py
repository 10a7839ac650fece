"""Tags and sentences out of a stream of tokens."""

from __future__ import annotations

import pytest
from voice_agent.llm.control import NO_TAG, Sentences, Tag, read_tag

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "tag", "rest"),
    [
        ("[2] It costs 129 dollars.", Tag("answered", 2), "It costs 129 dollars."),
        (" [1, 3] Yes.", Tag("answered", 1), "Yes."),
        ("[none] I don't know.", Tag("dont_know"), "I don't know."),
        ("[again]What was that?", Tag("asked_again"), "What was that?"),
        ("[ChAt] Hello!", Tag("small_talk"), "Hello!"),
        ("Hello!", NO_TAG, "Hello!"),
        ("[something much longer than any tag is", NO_TAG, "[something much longer than any tag is"),
    ],
)
def test_a_tag_is_taken_off(text: str, tag: Tag, rest: str) -> None:
    assert read_tag(text, ended=False) == (tag, rest)


@pytest.mark.parametrize("text", ["", "  ", "[", "[no", "[none"])
def test_a_tag_that_may_still_come_is_waited_for(text: str) -> None:
    assert read_tag(text, ended=False) is None
    assert read_tag(text, ended=True) == (NO_TAG, text)


def test_sentences_are_whole_and_as_early_as_possible() -> None:
    sentences = Sentences()
    tokens = [
        "It co",
        "sts $129",
        ".50 at Dr. Sm",
        "ith's. ",
        "Open from 9 a.m. to",
        " 5 p.m. daily! ",
        "Any",
        "thing else?",
    ]
    found = [sentence for token in tokens for sentence in sentences.push(token)]
    assert found == ["It costs $129.50 at Dr. Smith's.", "Open from 9 a.m. to 5 p.m. daily!"]
    assert sentences.rest() == "Anything else?"
    assert sentences.rest() == ""


def test_nobody_hears_marks() -> None:
    sentences = Sentences()
    assert sentences.push("**Yes** [2], it `is`. <b>Next</b>") == ["Yes, it is."]
