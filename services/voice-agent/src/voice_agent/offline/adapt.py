"""Set-up, once per machine: the stock acoustic model adapted to synthetic voices on the telephone.

    python -m voice_agent.offline.adapt --out DIR

espeak-ng reads general receptionist sentences (the list of how callers ask times general topics and invented names,
never a tenant's, a demo's or a test's sentences) in several voices and speeds; each goes through 8 kHz mu-law, is
aligned by pocketsphinx, and the stock model of the wheel moves towards it by maximum a posteriori estimation.
DIR then holds a complete model folder (about 10 MB) and `recipe.json`; a second run with the same recipe is instant.
The ear works without it, on the stock model, but hears about half as many questions.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from voice_agent.offline import phrases, sound
from voice_agent.offline.acoustic_files import (
    Floats,
    dynamic_features,
    read_features,
    read_gaussians,
    read_sendump,
    senone_codebooks,
    write_gaussians,
    write_mixture_weights,
)
from voice_agent.offline.pronounce import PronunciationError, model_folder, pronounce
from voice_agent.offline.spoken import words
from voice_agent.offline.voice import read_wav

_ONSETS = "b br d dr f fl g gl k kl kr l m n p pl pr r s st t tr v z".split()  # noqa: SIM905  (readable)
_VOWELS = ["a", "e", "i", "o", "u", "ay", "ee", "ia"]
_CODAS = ["", "", "l", "n", "r", "s", "th", "x", "nd"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result. `tau_*`: weight of the stock model, in frames."""

    version: int = 1
    sentences: int = 400
    seed: int = 20
    tau_means: float = 15.0
    tau_variances: float = 40.0
    tau_weights: float = 20.0
    voices: tuple[str, ...] = (
        "en-us", "en-gb", "en-us+f2", "en-us+m3", "en-us+f4", "en-gb+f3", "en-gb-x-rp", "en-us+m7", "en-us+f5",
        "en-gb-scotland", "en-us+Annie", "en-us+m2",
    )  # fmt: skip

    @property
    def digest(self) -> str:
        """Of the recipe, the lists that it reads and the stock model's size."""
        lists = [phrases.data_lines(n) for n in ("callers_ask.txt", "general_topics.txt", "common_words.txt")]
        stock = (model_folder() / "en-us" / "means").stat().st_size
        return hashlib.sha256(json.dumps([asdict(self), lists, stock]).encode()).hexdigest()[:32]


def invented_name(dice: random.Random) -> str:
    """A word that nobody has heard, such as treatments are named: two or three syllables."""
    syllables = [dice.choice(_ONSETS) + dice.choice(_VOWELS) for _ in range(dice.choice((2, 2, 3)))]
    return "".join(syllables) + dice.choice(_CODAS)


def general_sentences(recipe: Recipe) -> list[str]:
    """The sentences to be read out: every section in turn, slots filled with general topics and invented names."""
    dice = random.Random(recipe.seed)  # noqa: S311  (repeatable choice, no secret)
    sections, topics, common = phrases.sections(), phrases.general_topics(), phrases.common_words()
    made: list[str] = []
    while len(made) < recipe.sentences:
        section = sections[len(made) % len(sections)]
        text = dice.choice(section.patterns)
        for slot in phrases.SLOT.findall(text):
            if slot == "day":
                filler = dice.choice(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
            elif dice.random() < 0.4:
                filler = f"{invented_name(dice)} {dice.choice(topics).split()[-1]}"
            else:
                filler = dice.choice(topics)
            text = text.replace("{" + slot + "}", filler, 1)
        if len(text.split()) < 3:
            text = " ".join([text, *dice.sample(common, 5)])
        made.append(text)
    return made


def _read_out(recipe: Recipe, texts: Sequence[str]) -> Iterator[tuple[str, sound.Samples]]:
    dice = random.Random(recipe.seed + 1)  # noqa: S311  (repeatable choice, no secret)
    for at, text in enumerate(texts):
        voice = recipe.voices[at % len(recipe.voices)]
        speed, pitch = dice.randint(135, 185), dice.randint(38, 62)
        command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
        try:
            wav = subprocess.run(command, capture_output=True, timeout=30, check=True).stdout
        except FileNotFoundError as error:
            raise PronunciationError("espeak-ng is not on PATH; install the system package espeak-ng") from error
        samples, rate = read_wav(wav)
        pad = np.zeros(sound.EAR_RATE // 5, np.int16)
        heard = np.concatenate([pad, sound.through_telephone(samples, rate), pad])
        yield text, sound.Dither(recipe.seed + at)(heard)


@dataclass
class _Aligned:
    """Frames of all sentences: features (frame, stream, 13), their senones, and the mean cepstra of the whole."""

    features: Floats
    senones: "np.typing.NDArray[np.int64]"
    mean: Floats


def _align(recipe: Recipe, work: Path) -> _Aligned:
    import pocketsphinx

    texts = [" ".join(words(text)) for text in general_sentences(recipe)]
    spoken = {word for text in texts for word in text.split()}
    ways = pronounce(spoken, also_espeak=spoken)
    dictionary = work / "words.dict"
    entries = ((w if at == 0 else f"{w}({at + 1}){''}", p) for w, known in ways.items() for at, p in enumerate(known))
    dictionary.write_text("".join(f"{word} {phones}\n" for word, phones in entries), encoding="utf-8")
    logs = work / "features"
    logs.mkdir()
    decoder = pocketsphinx.Decoder(
        lm=None, hmm=str(model_folder() / "en-us"), dict=str(dictionary), mfclogdir=str(logs), loglevel="FATAL",
        ds=2, topn=2,  # the words are known: coarser scores find the same borders in half the time
    )  # fmt: skip
    features: list[Floats] = []
    senones: list[int] = []
    cepstra: list[Floats] = []
    for text, samples in _read_out(recipe, texts):
        found = _align_one(decoder, text, samples)
        log = max(logs.iterdir())
        heard = read_features(log)
        for old in logs.iterdir():
            old.unlink()
        if found and abs(len(found) - len(heard)) <= 1:
            count = min(len(found), len(heard))
            cepstra.append(heard)
            features.append(dynamic_features(heard)[:count])
            senones.extend(found[:count])
    return _Aligned(np.concatenate(features), np.array(senones), np.concatenate(cepstra).mean(axis=0))


def _align_one(decoder: "pocketsphinx.Decoder", text: str, samples: sound.Samples) -> list[int]:  # type: ignore[name-defined]  # noqa: F821
    """The senone of each frame; empty when the words don't fit the audio."""
    decoder.set_align_text(text)
    for states in (False, True):
        if states:
            if decoder.hyp() is None:
                return []
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        try:
            decoder.end_utt()
        except RuntimeError:  # no path through the words: the voice said something else
            return []
    found: list[int] = []
    alignment = decoder.get_alignment()
    for word in alignment or ():
        for phone in word:
            for state in phone:
                found.extend([int(state.name)] * state.duration)
    return found


def _adapt(
    recipe: Recipe,
    heard: _Aligned,
    means: Floats,
    variances: Floats,
    weights: Floats,
    books: "np.typing.NDArray[np.int64]",
) -> tuple[Floats, Floats, Floats]:
    new_means, new_variances, new_weights = means.copy(), variances.copy(), weights.copy()
    of_frame = books[heard.senones]
    for book in np.unique(of_frame):
        chosen = np.flatnonzero(of_frame == book)
        senones = heard.senones[chosen]
        for stream in range(means.shape[1]):
            x = heard.features[chosen, stream].astype(np.float64)
            mu, var = (
                means[book, stream].astype(np.float64),
                np.maximum(variances[book, stream].astype(np.float64), 1e-4),
            )
            inverse = 1 / var
            log = -0.5 * ((x**2) @ inverse.T - 2 * x @ (mu * inverse).T + (mu**2 * inverse).sum(1) + np.log(var).sum(1))
            log += np.log(weights[senones, stream] + 1e-8)
            share = np.exp(log - log.max(axis=1, keepdims=True))
            share /= share.sum(axis=1, keepdims=True)
            count, first, second = share.sum(0)[:, None], share.T @ x, share.T @ x**2
            moved = (recipe.tau_means * mu + first) / (recipe.tau_means + count)
            spread = (recipe.tau_variances * (var + mu**2) + second) / (recipe.tau_variances + count)
            centre = (recipe.tau_variances * mu + first) / (recipe.tau_variances + count)
            new_means[book, stream] = moved
            new_variances[book, stream] = np.maximum(spread - centre**2, var * 0.2)
            for senone in np.unique(senones):
                mine = share[senones == senone]
                prior = recipe.tau_weights * weights[senone, stream]
                new_weights[senone, stream] = (prior + mine.sum(0)) / (recipe.tau_weights + len(mine))
    return new_means, new_variances, new_weights


def adapt(out: Path, recipe: Recipe | None = None) -> bool:
    """Makes the adapted model in `out`; returns False when it was there already. Blocking, some 25 s of CPU.

    Raises PronunciationError when espeak-ng is missing. `out` is replaced as a whole, so a broken run leaves none.
    """
    recipe = recipe or Recipe()
    note = out / "recipe.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8")).get("digest") == recipe.digest:
        return False
    stock = model_folder() / "en-us"
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        work = Path(folder)
        heard = _align(recipe, work)
        books = senone_codebooks(stock / "mdef")
        means, variances = read_gaussians(stock / "means"), read_gaussians(stock / "variances")
        weights = read_sendump(stock / "sendump", len(books))
        means, variances, weights = _adapt(recipe, heard, means, variances, weights, books)
        made = work / "model"
        made.mkdir()
        for name in ("mdef", "noisedict", "transition_matrices", "README"):
            shutil.copy(stock / name, made / name)
        start = ",".join(f"{value:.2f}" for value in heard.mean)
        (made / "feat.params").write_text((stock / "feat.params").read_text() + f"-cmninit {start}\n")
        write_gaussians(made / "means", means)
        write_gaussians(made / "variances", variances)
        write_mixture_weights(made / "mixture_weights", weights)
        (made / "recipe.json").write_text(
            json.dumps({"digest": recipe.digest, "frames": len(heard.senones), **asdict(recipe)})
        )
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; prints one line."""
    parser = argparse.ArgumentParser(description="Adapt the offline ear to synthetic voices on the telephone.")
    parser.add_argument("--out", type=Path, required=True, help="model folder to make")
    wanted = parser.parse_args(arguments)
    try:
        fresh = adapt(wanted.out)
    except PronunciationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{wanted.out}: {'adapted' if fresh else 'was there already'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
