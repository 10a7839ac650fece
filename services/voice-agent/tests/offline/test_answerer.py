"""What is said, asked again, or refused: the calibration table of the answerer."""

import pytest
from voice_agent.offline.answerer import Answer, AskAgain, DontKnow, Passage, SmallTalk, decide
from voice_agent.offline.hypotheses import HeardWord, Hypotheses, Hypothesis

pytestmark = pytest.mark.unit

PASSAGES = [
    Passage("p1", "d1", "Price list", "| Treatment | Duration | Price |\n|---|---|---|\n| Velora peel | 45 min | $129 |\n"
            "| Zandrel peel | 30 min | $64 |\n| Deep tissue massage | 60 min | $95 |"),
    Passage("p2", "d2", "Questions", "Q: Where can I park?\nA: Parking is free behind the building.\n"
            "Q: Do you accept insurance?\nA: We accept Aetna.\nQ: Can I bring my children?\nA: Children are welcome."),
    Passage("p3", "d2", "Cancellation policy", "Tell us 24 hours ahead, or we charge a fee of $42."),
    Passage("p4", "d3", "Hours", "Monday to Friday: 9:00 AM to 5:30 PM\nSaturday: 10:00 AM to 2:00 PM\nSunday: closed"),
]  # fmt: skip


def heard(*texts: str) -> Hypotheses:
    """Readings, best first; "word:0.6" sets the ear's confidence in a word, else it is 1."""
    readings = []
    for at, text in enumerate(texts):
        pairs = (word.partition(":") for word in text.split())
        readings.append(Hypothesis(tuple(HeardWord(word, float(c or 1)) for word, _, c in pairs), -float(at)))
    return Hypotheses(tuple(readings), (), 2.0)


@pytest.mark.parametrize(
    ("said", "answer", "passage"),
    [
        ("how much is a velora peel", "Velora peel costs 129 dollars.", "p1"),
        ("what does the zandrel peel cost", "Zandrel peel costs 64 dollars.", "p1"),
        ("hi could you tell me how much the deep tissue massage is", "Deep tissue massage costs 95 dollars.", "p1"),
        ("velora peel please", "Velora peel costs 129 dollars.", "p1"),
        ("how much is the velora:0.74 peel:0.7", "Velora peel costs 129 dollars.", "p1"),
        ("what's the price on:0.6 the velora peel", "Velora peel costs 129 dollars.", "p1"),
        ("do you offer velora peels", "Yes. Velora peel costs 129 dollars.", "p1"),
        ("how long does a zandrel peel take", "Zandrel peel takes 30 minutes.", "p1"),
        ("where can i park", "Parking is free behind the building.", "p2"),
        ("do you have parking", "Parking is free behind the building.", "p2"),
        ("can i bring my kids", "Children are welcome.", "p2"),
        ("what's your cancellation policy", "Tell us 24 hours ahead, or we charge a fee of 42 dollars.", "p3"),
        ("how much notice do you need to cancel", "Tell us 24 hours ahead, or we charge a fee of 42 dollars.", "p3"),
        ("are you open on sunday", "On Sunday we are closed.", "p4"),
        ("when do you close on wednesday", "On Wednesday we are open nine AM to five thirty PM.", "p4"),
    ],
)
def test_the_right_item(said: str, answer: str, passage: str) -> None:
    decision = decide(heard(said), PASSAGES)
    assert isinstance(decision, Answer)
    assert (decision.text, decision.passage_id) == (answer, passage)
    source = next(p for p in PASSAGES if p.id == passage)
    assert all(part in source.text for part in decision.quote.split(" | "))


@pytest.mark.parametrize(
    "said",
    [
        "how much is a haircut",
        "how much is a botox",
        "how much is a swedish massage",
        "do you do tattoo removal",
        "do you accept pets",
        "can i bring my dog",
        "is there an elevator in the building",
        "what is the name of the owner",
    ],
)
def test_not_in_the_documents(said: str) -> None:
    decision = decide(heard(said), PASSAGES)
    assert isinstance(decision, DontKnow)
    assert decision.understood


@pytest.mark.parametrize(
    "said",
    [
        "how much is a velora:0.3 peel",  # only the language model wanted the name
        "how much is a will:0.4 are:0.4 a peel",  # an unknown name, in pieces
        "how much is the may:0.4 to:0.5 peel",
        "do you treat know:0.3 can:0.5 don't:0.5",
        "what's your can:0.5 delay:0.3",
        "how much is a office:0.5 an massage",
        "could you tell me how much the:0.4 of:0.4 an massage is",  # pieces of an unknown name before a known last word
    ],
)
def test_half_heard_is_asked_again_and_never_answered(said: str) -> None:
    decision = decide(heard(said), PASSAGES)
    assert isinstance(decision, AskAgain)
    assert decision.guess is None


def test_pieces_of_unknown_words_beside_a_known_one_are_not_answered() -> None:
    assert isinstance(decide(heard("is there parking"), PASSAGES), Answer)
    assert not isinstance(decide(heard("is there to:0.55 know:0.55 if:0.55 parking"), PASSAGES), Answer)


HALF_HEARD = "can i bring my children:0.5"


def test_a_question_of_the_documents_half_heard_twice_is_answered() -> None:
    first = decide(heard(HALF_HEARD), PASSAGES)
    assert isinstance(first, AskAgain)
    assert first.guess is not None
    assert "bring my children" not in first.prompt  # a bare "yes" to that prompt means nothing
    assert isinstance(decide(heard("yes"), PASSAGES, asked=[first]), SmallTalk)
    again = decide(heard(HALF_HEARD), PASSAGES, asked=[first])
    assert isinstance(again, Answer)
    assert again.text == "Children are welcome."


@pytest.mark.parametrize("other", ["where can i park:0.5", "can i bring my children:0.35", "bring no:0.5 children:0.5"])
def test_what_is_heard_differently_the_second_time_is_not_confirmed(other: str) -> None:
    first = decide(heard(HALF_HEARD), PASSAGES)
    assert isinstance(first, AskAgain)
    assert isinstance(decide(heard(other), PASSAGES, asked=[first]), AskAgain)


def test_silence_is_asked_again() -> None:
    decision = decide(Hypotheses(), PASSAGES)
    assert isinstance(decision, AskAgain)
    assert decision.reason == "silence"


def test_two_names_nearly_alike_are_never_chosen_between() -> None:
    decision = decide(heard("how much is a velora:0.78 peel", "how much is a zandrel:0.75 peel"), PASSAGES)
    assert isinstance(decision, AskAgain)
    assert "Velora peel or Zandrel peel" in decision.prompt


def test_part_of_a_name_is_asked_back() -> None:
    assert isinstance(decide(heard("how much is a peel"), PASSAGES), AskAgain)
    one = decide(heard("how much is a massage"), PASSAGES)
    assert isinstance(one, AskAgain)
    assert one.guess is not None
    assert one.guess.text == "Deep tissue massage costs 95 dollars."


def test_an_unknown_name_with_a_known_last_word_gets_no_price_by_repeating() -> None:
    first = heard("how much the:0.44 of:0.42 an:0.7 massage:0.91 is")
    second = heard("how much the:0.7 garden:0.64 massage:0.64 is:0.6", "how much the:0.7 massage:0.64 is:0.6")
    asked = decide(first, PASSAGES)
    assert isinstance(asked, AskAgain)
    assert not isinstance(decide(second, PASSAGES, asked=[asked]), Answer)


def test_a_likely_name_is_confirmed_by_yes_or_by_repeating() -> None:
    once = decide(heard("how much is a velora:0.5 peel:0.6"), PASSAGES)
    assert isinstance(once, AskAgain)
    assert once.guess is not None
    for reply in ("yes please", "yes:0.45 please:0.5", "how much is a velora:0.5 peel:0.6"):
        again = decide(heard(reply), PASSAGES, asked=[once])
        assert isinstance(again, Answer)
        assert again.text == "Velora peel costs 129 dollars."
    assert isinstance(decide(heard("no"), PASSAGES, asked=[once]), AskAgain)
    other = decide(heard("how much is a zandrel:0.5 peel:0.6"), PASSAGES, asked=[once])
    assert isinstance(other, AskAgain)


def test_words_around_a_name_are_asked_back() -> None:
    decision = decide(heard("how much is a velora peel package for two"), PASSAGES)
    assert isinstance(decision, AskAgain)


def test_the_third_failure_gives_up() -> None:
    asked: list[AskAgain] = []
    for _ in range(2):
        decision = decide(heard("how much is a will:0.4 are:0.4 a peel"), PASSAGES, asked=asked)
        assert isinstance(decision, AskAgain)
        asked.append(decision)
    last = decide(heard("how much is a will:0.4 are:0.4 a peel"), PASSAGES, asked=asked)
    assert isinstance(last, DontKnow)
    assert not last.understood


def test_documents_that_disagree_are_both_said() -> None:
    other = Passage("p9", "d9", "Spring", "Velora peel: $99")
    decision = decide(heard("how much is a velora peel"), [*PASSAGES, other])
    assert isinstance(decision, Answer)
    assert "129 dollars and 99 dollars" in decision.text


def test_no_passages_no_answer() -> None:
    assert isinstance(decide(heard("how much is a velora peel"), []), DontKnow)


@pytest.mark.parametrize(
    ("said", "talk"),
    [("hello", "greeting"), ("thank you very much", "thanks"), ("bye", "goodbye"), ("yes please", "yes"), ("no", "no")],
)
def test_small_talk_needs_no_documents(said: str, talk: str) -> None:
    decision = decide(heard(said), [])
    assert isinstance(decision, SmallTalk)
    assert decision.talk == talk


def test_repeat_that_says_the_last_thing_again() -> None:
    decision = decide(heard("sorry could you repeat that"), [], last_said="Parking is free.")
    assert isinstance(decision, SmallTalk)
    assert decision.text == "Parking is free."


def test_today_and_tomorrow_follow_the_clinic_s_day() -> None:
    for said, day, times in (
        ("are you open today", "sunday", "On Sunday we are closed."),
        ("are you open tomorrow", "friday", "On Saturday we are open ten AM to two PM."),
    ):
        decision = decide(heard(said), PASSAGES, today=day)
        assert isinstance(decision, Answer)
        assert decision.text == times
