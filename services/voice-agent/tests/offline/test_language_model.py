"""The tenant's language model and pronunciations, with the real espeak-ng."""

import re
from pathlib import Path

import pytest
from voice_agent.offline import phrases
from voice_agent.offline.acoustic import PHONES
from voice_agent.offline.language_model import SpeechModel, build_language_model, model_digest
from voice_agent.offline.pronounce import arpabet, espeak_phones, general_readings, general_words, pronounce
from voice_agent.offline.spoken import words

pytestmark = pytest.mark.integration


def test_it_holds_the_tenant_s_and_general_words_and_no_others(
    speech_model: SpeechModel, tenant_texts: tuple[str, ...]
) -> None:
    days_and_times = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "eight", "noon"}
    own = {word for text in (*tenant_texts, "Harbor Clinic", "Oak Street") for word in words(text)}
    assert {"velora", "peel", "tissue"} <= speech_model.vocabulary
    everyday = {gram[0] for gram, _ in phrases.spoken_english() if len(gram) == 1}
    assert speech_model.vocabulary <= own | set(general_words()) | days_and_times | everyday
    assert speech_model.items == ("Velora peel", "Deep tissue massage")


def test_probabilities_of_a_context_sum_to_one(speech_model: SpeechModel) -> None:
    """After "is a": listed trigrams, and the backed-off rest, together are all words."""
    grams: dict[tuple[str, ...], tuple[float, float]] = {}
    for line in speech_model.arpa.decode().splitlines():
        parts = line.split()
        if parts and re.fullmatch(r"-\d+\.\d+", parts[0]):
            gram = [p for p in parts[1:] if not re.fullmatch(r"-?\d+\.\d+", p)]
            grams[tuple(gram)] = (10 ** float(parts[0]), 10 ** float(parts[-1]) if len(parts) > len(gram) + 1 else 1.0)

    def probability(gram: tuple[str, ...]) -> float:
        if gram in grams:
            return grams[gram][0]
        return grams.get(gram[:-1], (0, 1.0))[1] * probability(gram[1:]) if len(gram) > 1 else 0.0

    vocabulary = [gram[0] for gram in grams if len(gram) == 1 and gram[0] != "<s>"]
    assert sum(probability(("is", "a", word)) for word in vocabulary) == pytest.approx(1.0, abs=0.01)


def test_an_item_follows_the_question(speech_model: SpeechModel) -> None:
    arpa = speech_model.arpa.decode()
    assert re.search(r"^-0?\.?\d.* is a velora$", arpa, re.M)
    assert re.search(r" a velora peel$", arpa, re.M)


def test_the_same_texts_are_built_once(tmp_path: Path, tenant_texts: tuple[str, ...]) -> None:
    first = build_language_model(tenant_texts, cache=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(kept.read_text().replace("Velora peel", "From the cache"))
    assert build_language_model(tenant_texts, cache=tmp_path).items[0] == "From the cache"
    assert first.digest == model_digest(tenant_texts) != model_digest([*tenant_texts, "more"])


def test_a_tenant_without_documents_has_a_model() -> None:
    model = build_language_model([])
    assert {"hello", "hours", "insurance"} <= model.vocabulary
    assert model.items == ()


def test_unknown_words_are_read_by_espeak() -> None:
    found = pronounce(["velora", "peel", "brelith"])
    assert found["velora"] == ("V EH L AO R AH",)
    assert found["brelith"] == ("B R EH L IH TH",)
    assert "P IY L" in found["peel"]


def test_every_reading_uses_phones_of_the_model() -> None:
    unknown = espeak_phones(["quirnjeque", "hydrafacial", "xylometazoline", "naïve", "oesophagus"])
    for ways in (*unknown.values(), *general_readings().values()):
        assert ways
        assert {phone for way in ways for phone in way.split()} <= set(PHONES)


def test_little_words_are_also_known_as_they_are_said_within_sentences() -> None:
    """espeak-ng says "for a" as "fera", and "the" before a vowel as "thi"."""
    assert {"F AO R", "F ER"} <= set(general_readings()["for"])
    assert {"DH AH", "DH IH"} <= set(general_readings()["the"])


@pytest.mark.parametrize(
    ("ipa", "phones"), [("tʃˈɛɹ", "CH EH R"), ("vˈɛloːɹə", "V EH L AO R AH"), ("bˈɛɾɚ", "B EH T ER")]
)
def test_ipa(ipa: str, phones: str) -> None:
    assert arpabet(ipa) == phones


def test_the_shipped_readings_cover_the_general_lists() -> None:
    """When this fails: pronounce.write_general_readings(<data folder>/espeak_readings.txt)."""
    assert set(general_words()) - set(general_readings()) == set()


def test_the_lists_are_well_formed() -> None:
    names = {section.name for section in phrases.sections()}
    assert {"price", "offer", "topic", "hours", "talk"} <= names
    for section in phrases.sections():
        for pattern in section.patterns:
            assert len(phrases.SLOT.findall(pattern)) <= 1, pattern
            assert re.fullmatch(r"[a-z' ]+", phrases.SLOT.sub("slot", pattern)), pattern
    assert list(phrases.expand("(a|b|) c(| d)")) == ["a c", "a c d", "b c", "b c d", "c", "c d"]
