"""Free speech: what is answered at once, what only when it is heard twice, and what never."""

import pytest
from voice_agent.offline.answerer import Answer, AskAgain, DontKnow, Passage, decide
from voice_agent.offline.hypotheses import HeardWord, Hypotheses, Hypothesis

pytestmark = pytest.mark.unit


def heard(text: str) -> Hypotheses:
    """One reading; "word:0.6" sets the ear's confidence in a word, else it is 1."""
    pairs = (word.partition(":") for word in text.split())
    return Hypotheses((Hypothesis(tuple(HeardWord(word, float(c or 1)) for word, _, c in pairs), 0.0),), (), 3.0)


def passages(*similar: float) -> list[Passage]:
    """Rows and entries of a garden centre, with the similarity that retrieval gave each."""
    texts = (
        ("Prices", "Service: Hedge trimming | Price: $140"),
        ("Prices", "Service: Standard lawn mowing | Price: $35"),
        ("Do you deliver plants?", "Yes, within twenty miles, on Tuesdays."),
        ("Can I return a plant?", "Plants that die within a year are replaced."),
    )
    return [Passage(str(at), "d", *text, 0.1, near) for at, (text, near) in enumerate(zip(texts, similar, strict=True))]


@pytest.mark.parametrize(
    ("said", "near", "answer"),
    [
        ("um i've got this old hedge what would trimming it set me back", (0.6, 0.3, 0.1, 0.1), "140 dollars"),
        ("uh what would you guys want for mowing my lawn", (0.2, 0.6, 0.1, 0.1), "35 dollars"),
        ("so could somebody deliver that to my mother", (0.1, 0.1, 0.5, 0.2), "Tuesdays"),
        ("the plant that i bought is dead do you replace it", (0.1, 0.1, 0.3, 0.6), "within a year"),
    ],
)
def test_words_in_any_order_and_a_near_passage_are_an_answer(said: str, near: tuple[float, ...], answer: str) -> None:
    decision = decide(heard(said), passages(*near))
    assert isinstance(decision, Answer)
    assert answer in decision.text


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("um do you have somebody who can fix my garage door", (0.3, 0.25, 0.3, 0.2)),  # nothing shared
        ("what would trimming my poodle cost", (0.35, 0.3, 0.1, 0.1)),  # half a name
        ("uh how much would a chocolate lawn be", (0.2, 0.55, 0.1, 0.1)),  # another thing of that name
        ("how much is a hedge trimming robot for my garden", (0.6, 0.3, 0.1, 0.1)),  # the name is part of another
    ],
)
def test_a_word_by_chance_or_a_near_passage_alone_is_none(said: str, near: tuple[float, ...]) -> None:
    first = decide(heard(said), passages(*near))
    assert not isinstance(first, Answer)
    if isinstance(first, AskAgain) and first.reason == "unclear":
        assert not isinstance(decide(heard(said), passages(*near), asked=[first]), Answer)


def test_words_that_were_hardly_heard_count_only_the_second_time() -> None:
    said = "um i've got this hedge:0.6 what would trimming:0.6 it set me back"
    first = decide(heard(said), passages(0.6, 0.3, 0.1, 0.1))
    assert isinstance(first, AskAgain)
    assert isinstance(decide(heard(said), passages(0.6, 0.3, 0.1, 0.1), asked=[first]), Answer)


def test_pieces_of_other_words_in_a_short_question_are_no_shared_meaning() -> None:
    near = (0.1, 0.1, 0.5, 0.2)
    first = decide(heard("do you deliver:0.55 years:0.3 us:0.3"), passages(*near))
    assert isinstance(first, AskAgain)
    assert isinstance(decide(heard("do you deliver:0.55 the:0.3 is:0.4"), passages(*near), asked=[first]), AskAgain)


def test_a_word_in_a_passage_about_something_else_is_no_answer() -> None:
    where = Passage("1", "d", "After a peel", "Avoid sport, sauna and alcohol for two days.", 0.1, 0.3)
    assert isinstance(decide(heard("is there a sauna"), [where]), DontKnow)


def test_a_price_is_meant_although_an_entry_names_the_thing() -> None:
    found = [
        Passage("1", "d", "Prices", "Treatment: Botox | Price: $180", 0.1, 0.7),
        Passage("2", "d", "How long does botox last?", "About four months.", 0.1, 0.6),
    ]
    price = decide(heard("uh how much do you guys take for botox"), found)
    length = decide(heard("how many months until my botox wears off"), found)
    assert isinstance(price, Answer)
    assert isinstance(length, Answer)
    assert "180 dollars" in price.text
    assert "four months" in length.text


SHEET = [
    Passage(
        "1", "d", "Good to know", "Payment: We take cards. For large jobs we ask for a deposit of 50 dollars.", 0.1, 0.5
    ),
    Passage(
        "2",
        "d",
        "After planting",
        "Water the roots twice a day in the first week. Don't mow for three weeks.",
        0.1,
        0.5,
    ),
    Passage("3", "d", "Prices", "Service: Rose pruning | Price: $70", 0.1, 0.55),
    Passage("4", "d", "Does mowing hurt hedgehogs?", "No, we look under every bush first.", 0.1, 0.45),
]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("how often do i have to water the roots", "twice a day"),
        ("when can i mow again after planting", "three weeks"),
        ("my roses are wild what do you take for pruning them", "70 dollars"),
    ],
)
def test_the_kind_of_answer_that_is_asked_for_is_given(said: str, answer: str) -> None:
    decision = decide(heard(said), SHEET)
    assert isinstance(decision, Answer)
    assert answer in decision.text


@pytest.mark.parametrize(
    "said",
    [
        "how often do you prune roses",  # no fact says how often
        "how much is a rose bouquet",  # a thing beside the name
        "what's the name of your payment service",  # the attribute stands nowhere
        "do you sell rose fertilizer",  # what is offered must be named
        "my arm hurts since the tree fell is that bad",  # each is about a thing that the other doesn't name
    ],
)
def test_what_the_fact_does_not_name_is_never_answered(said: str) -> None:
    first = decide(heard(said), SHEET)
    assert not isinstance(first, Answer)
    if isinstance(first, AskAgain):
        assert not isinstance(decide(heard(said), SHEET, asked=[first]), Answer)


def test_what_was_not_understood_stays_part_of_a_short_question() -> None:
    where = Passage("1", "d", "Car park", "The car park is under the building.", 0.1, 0.6)
    assert not isinstance(decide(heard("is there a restaurant:0.4 is:0.6 the building"), [where]), Answer)
