"""Sentences and voices for the training: nothing of a tenant, a demo or a test."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from pathlib import Path

from voice_agent.offline import phrases
from voice_agent.offline.acoustic import ACCENTS, OTHER_VARIANTS, USUAL_VARIANTS
from voice_agent.offline.spoken import words

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = tuple(
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_AFTER_HOURS = ("o clock", "thirty", "fifteen", "forty five", "in the morning", "p m", "a m")
_UNITS = ("dollars", "pounds", "minutes", "percent", "days", "euros")
_ONSETS = "b br d dr f fl g gl k kl kr l m n p pl pr r s st t tr v z".split()  # noqa: SIM905  (readable)
_VOWELS = ("a", "e", "i", "o", "u", "ay", "ee", "ia")
_CODAS = ("", "", "l", "n", "r", "s", "th", "x", "nd")
_LONGEST = 16  # words


def dictionary_words() -> list[str]:
    """Any English word."""
    import pocketsphinx

    lines = (Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict").read_text(encoding="utf-8")
    heads = (line.partition(" ")[0] for line in lines.splitlines())
    return [word for word in heads if re.fullmatch(r"[a-z]{2,14}", word)]


def voice(dice: random.Random) -> str:
    """An accent by its share, mostly with a variant."""
    accent = dice.choices(list(ACCENTS), list(ACCENTS.values()))[0]
    chance = dice.random()
    if chance < 0.15:
        return accent
    return f"{accent}+{dice.choice(USUAL_VARIANTS if chance < 0.6 else OTHER_VARIANTS)}"


class Sentences:
    """Draws sentences of several kinds."""

    def __init__(self, dice: random.Random, rare: list[str]) -> None:
        self._dice = dice
        self._rare = rare
        self._next: defaultdict[tuple[str, ...], list[tuple[str, float]]] = defaultdict(list)
        self._common: list[str] = []
        self._weights: list[float] = []
        for gram, share in phrases.spoken_english():
            if len(gram) > 1:
                self._next[gram[:-1]].append((gram[-1], share))
            elif re.fullmatch(r"[a-z']+", gram[0]):
                self._common.append(gram[0])
                self._weights.append(share**0.5)

    def draw(self) -> str:
        """Lower-case words, numbers spelt out."""
        while True:
            chance = self._dice.random()
            if chance < 0.35:
                text = self._pattern()
            elif chance < 0.72:
                text = self._walk()
            elif chance < 0.93:
                text = self._mixed()
            else:
                text = f"{self._walk()} {self._number()}"
            said = [word for word in words(text)[:_LONGEST] if re.fullmatch(r"[a-z']+", word)]
            if said:
                return " ".join(said)

    def _common_word(self) -> str:
        return self._dice.choices(self._common, self._weights)[0]

    def _walk(self) -> str:
        """Through pairs and triples of everyday English, now and then elsewhere."""
        dice, out = self._dice, ["<s>"]
        while len(out) < _LONGEST - 2:
            word = self._step(out)
            if dice.random() < 0.12:
                word = dice.choice(self._rare) if dice.random() < 0.5 else self._common_word()
            if word == "</s>":
                if len(out) > 4:
                    break
                word = dice.choice(phrases.common_nouns())
            if word != "<s>":
                out.append(word)
        return " ".join(out[1:])

    def _step(self, out: list[str]) -> str:
        for context in (tuple(out[-2:]), tuple(out[-1:])):
            follow = self._next.get(context)
            if follow and (len(context) == 1 or self._dice.random() < 0.7):
                return self._dice.choices([w for w, _ in follow], [share**0.7 for _, share in follow])[0]
        return self._common_word()

    def _pattern(self) -> str:
        dice = self._dice
        text = dice.choice(dice.choice(phrases.sections()).patterns)
        for slot in phrases.SLOT.findall(text):
            filler = dice.choice(_DAYS) if slot == "day" else self._number() if slot == "time" else self._thing()
            text = text.replace("{" + slot + "}", filler, 1)
        return text if len(text.split()) > 2 else f"{text} {self._walk()}"

    def _thing(self) -> str:
        dice, kind = self._dice, self._dice.random()
        if kind < 0.35:
            return dice.choice(phrases.general_topics())
        first = self._invented() if dice.random() < 0.35 else dice.choice(self._rare)
        if kind < 0.6:
            return f"{first} {dice.choice(phrases.common_nouns())}"
        return f"{first} {dice.choice(phrases.general_topics()).split()[-1]}" if kind < 0.8 else first

    def _invented(self) -> str:
        dice = self._dice
        syllables = [dice.choice(_ONSETS) + dice.choice(_VOWELS) for _ in range(dice.choice((2, 2, 3)))]
        return "".join(syllables) + dice.choice(_CODAS)

    def _number(self) -> str:
        dice, kind = self._dice, self._dice.random()
        if kind < 0.3:
            return f"{dice.randint(1, 12)} {dice.choice(_AFTER_HOURS)}"
        if kind < 0.5:
            return f"{dice.choice(_MONTHS)} {dice.randint(1, 31)}"
        if kind < 0.7:
            return f"{dice.randint(5, 999)} {dice.choice(_UNITS)}"
        if kind < 0.85:
            return " ".join(str(dice.randint(0, 9)) for _ in range(dice.randint(3, 7)))
        return str(dice.randint(10, 4000))

    def _mixed(self) -> str:
        dice = self._dice
        count = dice.randint(3, 8)
        return " ".join(dice.choice(self._rare) if dice.random() < 0.6 else self._common_word() for _ in range(count))
