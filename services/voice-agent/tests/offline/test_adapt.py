"""Adaptation of the acoustic model, and its files."""

import json
from pathlib import Path

import numpy as np
import pytest
from voice_agent.offline import acoustic_files, sound
from voice_agent.offline.adapt import Recipe, adapt, general_sentences, main
from voice_agent.offline.pronounce import model_folder

pytestmark = pytest.mark.integration


def test_the_stock_model_s_files_are_read_and_written(tmp_path: Path) -> None:
    stock = model_folder() / "en-us"
    means = acoustic_files.read_gaussians(stock / "means")
    assert means.shape == (42, 3, 128, 13)
    acoustic_files.write_gaussians(tmp_path / "means", means)
    assert np.array_equal(acoustic_files.read_gaussians(tmp_path / "means"), means)
    books = acoustic_files.senone_codebooks(stock / "mdef")
    weights = acoustic_files.read_sendump(stock / "sendump", len(books))
    assert weights.shape == (5126, 3, 128)
    assert np.allclose(weights.sum(axis=2), 1.0, atol=1e-3)
    with pytest.raises(ValueError, match="model definition"):
        acoustic_files.senone_codebooks(stock / "noisedict")


def test_an_adapted_model_is_complete_and_made_once(acoustic: Path) -> None:
    recipe = Recipe(sentences=40, voices=("en-us", "en-gb"))
    assert json.loads((acoustic / "recipe.json").read_text())["digest"] == recipe.digest
    assert "-cmninit" in (acoustic / "feat.params").read_text()
    before = (acoustic / "means").stat().st_mtime_ns
    assert adapt(acoustic, recipe) is False
    assert (acoustic / "means").stat().st_mtime_ns == before
    assert not np.array_equal(
        acoustic_files.read_gaussians(acoustic / "means"),
        acoustic_files.read_gaussians(model_folder() / "en-us" / "means"),
    )


def test_sentences_are_repeatable_and_fill_every_slot() -> None:
    made = general_sentences(Recipe())
    assert made == general_sentences(Recipe())
    assert len(made) == Recipe().sentences
    assert not any("{" in text for text in made)
    assert Recipe().digest != Recipe(seed=1).digest


def test_a_missing_espeak_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--out", str(tmp_path / "model")]) == 1
    assert "install" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_the_telephone_keeps_speech_and_drops_what_it_cannot_carry() -> None:
    time = np.arange(22_050) / 22_050
    low = (8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    high = (8000 * np.sin(2 * np.pi * 6000 * time)).astype(np.int16)
    heard = sound.through_telephone(low, 22_050)
    assert len(heard) == 16_000
    assert np.abs(heard).max() == pytest.approx(8000, rel=0.1)
    assert np.abs(sound.through_telephone(high, 22_050)).max() < 500


def test_dither_is_repeatable_and_never_silent() -> None:
    quiet = np.zeros(1600, np.int16)
    assert np.array_equal(sound.Dither(1)(quiet), sound.Dither(1)(quiet))
    assert not np.array_equal(sound.Dither(1)(quiet), sound.Dither(2)(quiet))
    assert np.abs(sound.Dither(1)(quiet)).max() > 0
