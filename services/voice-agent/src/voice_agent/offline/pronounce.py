"""Pronunciations: espeak-ng's, in two accents, turned from IPA into the 39 phones of the acoustic model.

Offline callers are espeak-ng voices, and treatment names are often invented ("velora peel"), so nobody's dictionary would say
better how a word will sound. Words of the general lists come from `data/espeak_readings.txt`, with what they become within
sentences ("for a" is said "fer a"); others cost one espeak-ng call per accent for the whole list (about 1 ms a word).
"""

import functools
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from voice_agent.offline import phrases

_ACCENTS = ("en-us", "en-gb")
_LEAST_TIMEOUT = 20.0  # seconds, for a whole list of words
_NEIGHBOURS = 6000  # pairs and triples that are read for what words become within sentences
_WAYS, _RARE = 4, 0.03  # ways of a word that are kept, and the share of its uses that a way must have
_STRESS = re.compile(r"[ˈˌː̩'ʔ‿ʲ̃̚]")

# Longest first. Where the model has one phone for two sounds the nearer one is taken; "ɾ" is the American flap.
_IPA = {
    "tʃ": "CH", "dʒ": "JH", "aɪɚ": "AY ER", "aɪə": "AY ER", "aʊə": "AW ER",
    "eɪ": "EY", "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "eə": "EH R", "ɪə": "IH R", "iə": "IY AH",
    "ʊə": "UH R", "əl": "AH L", "ən": "AH N", "ɪŋ": "IH NG", "ɑɹ": "AA R", "ɔɹ": "AO R", "oɹ": "AO R",
    "ɛɹ": "EH R", "ʊɹ": "UH R", "ɪɹ": "IH R", "ɜɹ": "ER", "əɹ": "ER", "ɐɹ": "ER", "ks": "K S",
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO",
    "o": "AO", "ʊ": "UH", "u": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɜ": "ER", "ɚ": "ER", "ɝ": "ER", "y": "UW",
    "ø": "ER", "œ": "ER", "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "m": "M", "n": "N",
    "ŋ": "NG", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH",
    "l": "L", "ɫ": "L", "r": "R", "ɹ": "R", "j": "Y", "w": "W", "ʍ": "W", "ɾ": "T", "x": "K", "ç": "HH", "ɲ": "N Y",
}  # fmt: skip
_LONGEST = max(map(len, _IPA))


class PronunciationError(RuntimeError):
    """espeak-ng is missing or gave no answer; the message names the fix."""


def arpabet(ipa: str) -> str:
    """IPA of one word -> phones separated by spaces; signs without an equivalent are left out."""
    left, phones = _STRESS.sub("", ipa), []
    # "ɑːɹ" must not become a vowel, a length mark and a consonant of its own: marks go first
    while left:
        for size in range(min(_LONGEST, len(left)), 0, -1):
            if left[:size] in _IPA:
                phones.append(_IPA[left[:size]])
                left = left[size:]
                break
        else:
            left = left[1:]
    return " ".join(phones)


def read_sentences(texts: list[str], accent: str) -> list[list[str]]:
    """How an accent of espeak-ng says each text, a few words without stops: groups of joined words, each its phones.

    Raises PronunciationError.
    """
    command = ["espeak-ng", "-q", "--ipa", "-v", accent]
    # a full stop after each text makes espeak-ng answer one line per text, in order
    text = "".join(f"{one}.\n" for one in texts)
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=max(_LEAST_TIMEOUT, 0.1 * len(texts)),
            check=True,
        )
    except FileNotFoundError as error:
        raise PronunciationError("espeak-ng is not on PATH; install the system package espeak-ng") from error
    except subprocess.SubprocessError as error:
        raise PronunciationError(f"espeak-ng gave no pronunciations: {error}") from error
    lines = done.stdout.splitlines()
    if len(lines) != len(texts):
        raise PronunciationError(f"espeak-ng answered {len(lines)} lines for {len(texts)} texts")
    return [[phones for group in line.split() if (phones := arpabet(group))] for line in lines]


def espeak_phones(unknown: list[str], *, accents: tuple[str, ...] = _ACCENTS) -> dict[str, tuple[str, ...]]:
    """How espeak-ng says each word, in each accent. Raises PronunciationError when espeak-ng can't be run."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(unknown, ())
    for accent in accents if unknown else ():
        for word, groups in zip(unknown, read_sentences(unknown, accent), strict=True):
            phones = " ".join(groups)
            if phones and phones not in found[word]:
                found[word] = (*found[word], phones)
    return found


@functools.cache
def general_readings() -> dict[str, tuple[str, ...]]:
    """How espeak-ng says the words of the general lists, read once with `write_general_readings` and shipped."""
    lines = phrases.data_lines("espeak_readings.txt")
    return {word: tuple(ways.split("|")) for word, _, ways in (line.partition(" ") for line in lines)}


def general_words() -> list[str]:
    """Every word of the general lists, sorted."""
    texts = [*phrases.general_topics(), *phrases.common_words(), *phrases.common_nouns()]
    texts += [phrases.SLOT.sub(" ", pattern) for section in phrases.sections() for pattern in section.patterns]
    texts += [gram[0] for gram, _ in phrases.spoken_english() if len(gram) == 1]
    return sorted({word for text in texts for word in re.findall(r"[a-z]+(?:'[a-z]+)*", text)})


def write_general_readings(path: Path) -> None:
    """Makes `data/espeak_readings.txt`, some minutes; run it when a general list has new words (a test says so)."""
    alone = espeak_phones(general_words())
    within = _within_sentences(alone)
    lines = [
        f"{word} {'|'.join(dict.fromkeys((*ways, *within.get(word, ()))))}" for word, ways in alone.items() if ways
    ]
    path.write_text("# Made by pronounce.write_general_readings.\n" + "\n".join(lines) + "\n", encoding="utf-8")


def _within_sentences(alone: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """How words are said before and after their commonest neighbours, where it isn't as they are said alone."""
    grams = sorted(((share, gram) for gram, share in phrases.spoken_english() if len(gram) > 1), reverse=True)
    grams = [(share, gram) for share, gram in grams if all(alone.get(word) for word in gram)][:_NEIGHBOURS]
    counts: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for accent in _ACCENTS:
        for (share, gram), groups in zip(grams, read_sentences([" ".join(g) for _, g in grams], accent), strict=True):
            for word, way in _split(gram, groups, alone):
                counts[word][way] += share
    found: dict[str, list[str]] = {}
    for word, ways in counts.items():
        kept = (way for way, share in ways.items() if share >= _RARE * sum(ways.values()))
        found[word] = sorted(kept, key=ways.__getitem__, reverse=True)[:_WAYS]
    return found


def _split(gram: tuple[str, ...], groups: list[str], alone: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """The phones of each word of one reading. espeak-ng joins some little words ("of the"): those are cut apart again."""
    if len(groups) == len(gram):
        return list(zip(gram, groups, strict=True))
    if len(groups) == 1 and len(gram) == 2:
        for last in alone[gram[1]]:
            if groups[0].endswith(f" {last}"):
                return [(gram[0], groups[0].removesuffix(f" {last}"))]
    return []


def pronounce(wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Pronunciations of all `wanted` words, phones separated by spaces; a word that espeak-ng doesn't say is left out.

    Raises PronunciationError when espeak-ng can't be run.
    """
    shipped = general_readings()
    wanted = sorted(set(wanted))
    read = {**shipped, **espeak_phones([word for word in wanted if word not in shipped])}
    return {word: read[word] for word in wanted if read.get(word)}
