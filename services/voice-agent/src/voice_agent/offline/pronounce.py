"""Pronunciations: the dictionary in the pocketsphinx wheel, and espeak-ng for words that nobody has written down.

Treatment names are often invented ("velora peel"), so a word outside the dictionary is read out by espeak-ng in two
accents and its IPA is turned into the 39 phones of the acoustic model. Cost: dictionary 0.15 s once a process,
unknown words one espeak-ng call per accent for the whole list (about 30 ms).
"""

import functools
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from voice_agent.offline import phrases

_ACCENTS = ("en-us", "en-gb")
_ESPEAK_TIMEOUT = 20.0  # seconds, for a whole list of words
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


def model_folder() -> Path:
    """The stock model of the pocketsphinx wheel (acoustic model, dictionary, phone language model)."""
    import pocketsphinx

    return Path(pocketsphinx.get_model_path()) / "en-us"


@functools.cache
def dictionary() -> dict[str, tuple[str, ...]]:
    """The wheel's dictionary: word -> its pronunciations (phones separated by spaces). 134,000 lines, read once."""
    found: dict[str, tuple[str, ...]] = {}
    for line in (model_folder() / "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines():
        word, _, phones = line.partition(" ")
        word = word.partition("(")[0]
        found[word] = (*found.get(word, ()), phones.strip())
    return found


def espeak_phones(unknown: list[str], *, accents: tuple[str, ...] = _ACCENTS) -> dict[str, tuple[str, ...]]:
    """How espeak-ng says each word, in each accent. Raises PronunciationError when espeak-ng can't be run."""
    found: dict[str, tuple[str, ...]] = dict.fromkeys(unknown, ())
    if not unknown:
        return found
    for accent in accents:
        command = ["espeak-ng", "-q", "--ipa", "-v", accent]
        # a full stop after each word makes espeak-ng answer one line per word, in order
        text = "".join(f"{word}.\n" for word in unknown)
        try:
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, timeout=_ESPEAK_TIMEOUT, check=True
            )
        except FileNotFoundError as error:
            raise PronunciationError("espeak-ng is not on PATH; install the system package espeak-ng") from error
        except subprocess.SubprocessError as error:
            raise PronunciationError(f"espeak-ng gave no pronunciations: {error}") from error
        lines = done.stdout.splitlines()
        if len(lines) != len(unknown):
            raise PronunciationError(f"espeak-ng answered {len(lines)} lines for {len(unknown)} words")
        for word, line in zip(unknown, lines, strict=True):
            phones = arpabet(line.strip().replace(" ", ""))
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
    return sorted({word for text in texts for word in re.findall(r"[a-z]+(?:'[a-z]+)*", text)})


def write_general_readings(path: Path) -> None:
    """Makes `data/espeak_readings.txt`; run it when a general list has new words (a test says so)."""
    read = espeak_phones(general_words())
    lines = [f"{word} {'|'.join(ways)}" for word, ways in read.items() if ways]
    path.write_text("# Made by pronounce.write_general_readings.\n" + "\n".join(lines) + "\n", encoding="utf-8")


def pronounce(wanted: Iterable[str], *, also_espeak: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
    """Pronunciations of all `wanted` words; words in `also_espeak` get espeak-ng's reading beside the dictionary's.

    A word that neither knows is left out.
    """
    known, doubly, shipped = dictionary(), set(also_espeak), general_readings()
    wanted = sorted(set(wanted))
    asked = [w for w in wanted if w not in shipped and (w not in known or w in doubly)]
    read = {**shipped, **espeak_phones(asked)}
    found: dict[str, tuple[str, ...]] = {}
    for word in wanted:
        ways = dict.fromkeys((*known.get(word, ()), *read.get(word, ())))
        if ways:
            found[word] = tuple(ways)
    return found
