"""The benches' clinics: what is expected can be known and from one place only, and test clinics stay unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest
from voice_agent.offline.spoken import words

from bench.offline.clinics import DATA, GROUPS, Clinic, load
from bench.offline.command import Options
from bench.offline.line import VOICES

pytestmark = pytest.mark.unit

SEEDS = range(1, 6)
SIZES = {
    "test-3": (3, 20, 20, 10),
    "test-2": (4, 18, 18, 9),
    "test": (3, 20, 20, 12),
}  # clinics, then questions each


def told(clinic: Clinic) -> Iterator[str]:
    """Each line that a caller may be told something from: documents first, then the configuration."""
    for document in clinic.documents:
        yield from document.text.splitlines()
    for location in clinic.locations:
        yield from (location["name"], location["address"], location.get("notes", ""))
        if len(location["hours"]) < 7:
            yield "closed"
        for span in location["hours"].values():
            for at in (time.fromisoformat(span[:5]), time.fromisoformat(span[6:])):
                yield f"{at.hour % 12 or 12}:{at.minute:02}"


def drawn() -> Iterator[Clinic]:
    """The clinics to measure with, with several values each."""
    for seed in SEEDS:
        for group in ("test-3", "test-2"):
            yield from load(group, seed)


def says(line: str, phrase: str) -> bool:
    return f" {' '.join(words(phrase))} " in f" {' '.join(words(line))} "


@pytest.mark.parametrize("group", GROUPS)
def test_values_differ_between_seeds(group: str) -> None:
    one, other = load(group, 1), load(group, 2)
    assert [c.key for c in one] == [c.key for c in other]
    assert all(a.documents != b.documents for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("group", SIZES)
def test_there_are_as_many_questions_of_each_form_as_the_tables_assume(group: str) -> None:
    clinics = load(group, 1)
    size, covered, free, nowhere = SIZES[group]
    assert len(clinics) == size
    for clinic in clinics:
        forms = [question.form for question in clinic.questions]
        assert (forms.count("covered"), forms.count("free")) == (covered, free)
        assert forms.count("nowhere") >= nowhere
        assert len({question.text for question in clinic.questions}) == len(forms)


def test_every_expected_answer_stands_in_the_documents_or_the_configuration() -> None:
    for clinic in drawn():
        lines = list(told(clinic))
        for question in (question for question in clinic.questions if question.right):
            ways = [all(any(says(line, phrase) for line in lines) for phrase in way) for way in question.right]
            assert any(ways), question


def test_an_expected_price_stands_in_one_line_so_that_another_price_is_never_right() -> None:
    for clinic in drawn():
        lines = [line for document in clinic.documents for line in document.text.splitlines()]
        found = [amount for line in lines for amount in re.findall(r"\$(\d[\d,]*\d|\d)", line)]
        prices = {p for question in clinic.questions for way in question.right for p in way if p.endswith(" dollars")}
        assert prices
        for price in prices:
            assert found.count(price.removesuffix(" dollars")) == 1, (clinic.key, price)


def test_every_folder_of_clinics_can_be_chosen_and_has_voices() -> None:
    assert set(GROUPS) == {path.name for path in DATA.iterdir() if path.is_dir()} == set(VOICES)


@pytest.mark.parametrize("group", [None, "test-3", "test-2", "test"])
def test_how_test_clinics_fail_can_not_be_recorded(
    group: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--clinics", group] if group else []
    with pytest.raises(SystemExit):
        Options.parse("", [*chosen, "--record", str(tmp_path / "seen")])
    assert "--record: a look at how test clinics fail" in capsys.readouterr().err


def test_how_development_clinics_fail_can_be_recorded(tmp_path: Path) -> None:
    options = Options.parse("", ["--clinics", "development", "--record", "seen"])
    assert options.record == Path("seen")
