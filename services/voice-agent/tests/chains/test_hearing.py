"""When a piece of speech is understood and when its ear has failed, by simulated times."""

from __future__ import annotations

import pytest
from voice_agent.chains.hearing import Hearing

pytestmark = pytest.mark.unit

DEADLINE = 1.2


def speaking() -> Hearing[str]:
    hearing: Hearing[str] = Hearing()
    hearing.began()
    return hearing


def test_a_transcript_after_the_end_of_speech_completes_it() -> None:
    hearing = speaking()
    assert not hearing.ended(10.0, DEADLINE)
    assert hearing.due == 11.2
    assert hearing.final("how much", 10.6)
    assert hearing.close() == ["how much"]
    assert not hearing.waiting


def test_a_transcript_that_came_while_the_caller_paused_completes_nothing_by_itself() -> None:
    hearing = speaking()
    assert not hearing.final("how much is", 8.0)
    assert not hearing.ended(10.0, DEADLINE)
    assert hearing.final("a velora peel", 10.5)
    assert hearing.close() == ["how much is", "a velora peel"]


def test_a_transcript_between_the_end_of_speech_and_our_notice_of_it_is_enough() -> None:
    hearing = speaking()
    hearing.final("how much", 10.2)
    assert hearing.ended(10.0, DEADLINE)


def test_words_that_are_not_final_yet_are_waited_for() -> None:
    hearing = speaking()
    hearing.final("how much", 10.2)
    hearing.interim()
    assert not hearing.ended(10.0, DEADLINE)


def test_what_the_last_link_said_is_dropped_with_it() -> None:
    hearing = speaking()
    hearing.final("how much is", 8.0)
    hearing.ended(10.0, DEADLINE)
    hearing.restart(11.2, 3.0)
    assert hearing.due == 14.2
    assert hearing.final("how much is a velora peel", 12.0)
    assert hearing.close() == ["how much is a velora peel"]


def test_speech_that_goes_on_is_the_same_piece() -> None:
    hearing = speaking()
    hearing.final("how much is", 8.0)
    hearing.ended(9.0, DEADLINE)
    hearing.began()
    assert hearing.due is None
    assert not hearing.settled()
    hearing.ended(11.0, DEADLINE)
    assert hearing.settled()
    assert hearing.close() == ["how much is"]


def test_an_answer_without_words_is_an_answer() -> None:
    hearing = speaking()
    assert not hearing.settled()
    hearing.ended(10.0, DEADLINE)
    assert hearing.settled()
    assert hearing.close() == []
