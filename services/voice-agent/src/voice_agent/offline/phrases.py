"""The general list of how callers ask (``data/callers_ask.txt``), expanded; nothing of any tenant is in it."""

import functools
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

_CHOICE = re.compile(r"\(([^()]*)\)")
SLOT = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True)
class Section:
    """One section of the list: its name, its weight among the others, its patterns without choices."""

    name: str
    weight: float
    patterns: tuple[str, ...]


def data_lines(name: str) -> list[str]:
    """The lines of a data file, without comments and empty lines."""
    text = resources.files("voice_agent.offline").joinpath("data", name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def expand(pattern: str) -> Iterator[str]:
    """All readings of a pattern: "(a|b|) c" -> "a c", "b c", "c". Innermost choices first."""
    found = _CHOICE.search(pattern)
    if not found:
        yield " ".join(pattern.split())
        return
    for choice in found[1].split("|"):
        yield from expand(pattern[: found.start()] + choice + pattern[found.end() :])


@functools.cache
def sections() -> tuple[Section, ...]:
    """The whole list, expanded. Raises ValueError for a pattern outside a section."""
    read: list[tuple[str, float, list[str]]] = []
    for line in data_lines("callers_ask.txt"):
        if head := re.fullmatch(r"\[(\w+)\]\s+weight=([\d.]+)", line):
            read.append((head[1], float(head[2]), []))
        elif read:
            read[-1][2].extend(expand(line))
        else:
            raise ValueError(f"callers_ask.txt: {line!r} stands before the first [section]")
    return tuple(Section(name, weight, tuple(dict.fromkeys(patterns))) for name, weight, patterns in read)


@functools.cache
def general_topics() -> tuple[str, ...]:
    """What any clinic may be asked about."""
    return tuple(data_lines("general_topics.txt"))


@functools.cache
def word_list(name: str) -> frozenset[str]:
    """All words of a data file."""
    return frozenset(word for line in data_lines(name) for word in line.split())


def common_words() -> tuple[str, ...]:
    """The commonest words of spoken English, in order of the alphabet."""
    return tuple(sorted(word_list("common_words.txt")))


def common_nouns() -> tuple[str, ...]:
    """Everyday things, so that a question about one of them is heard as that."""
    return tuple(sorted(word_list("common_nouns.txt")))


@functools.cache
def spoken_english() -> tuple[tuple[tuple[str, ...], float], ...]:
    """Words, pairs and triples of everyday speech, each with its share of running words."""
    lines = (line.split() for line in data_lines("spoken_english.txt"))
    return tuple((tuple(words), math.exp(-float(cost))) for cost, *words in lines)


def function_words() -> frozenset[str]:
    """Words that carry no subject."""
    return word_list("function_words.txt")
