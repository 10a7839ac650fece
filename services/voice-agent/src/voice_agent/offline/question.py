"""What of an utterance asks, and what its idioms stand for. Pure; English.

Callers tell a story and then ask: ``clause_start`` finds where the last question begins. "I can't make it tomorrow" is
about cancelling: ``ideas`` names the words that documents have for such idioms (``data/idioms.txt``).
"""

import functools
import re
from collections.abc import Sequence

from voice_agent.offline import phrases
from voice_agent.offline.asking import empty_words, synonym, words_without_fillers

_SUBJECT = (
    r"(?:i|you|we|he|she|it|they|there|that|this|one|my|your|our|his|her|the|any|some|some(?:body|one)|any(?:body|one))"
)
_ASKS_WHAT = re.compile(
    r"\b(?:how (?:much|many|long|often|soon|old|early|late|far|big|expensive|quickly|fast|do|does|can|could|should|would|is"
    r"|are|will)|what|what's|when|where|where's|which|who|who's|whether)\b"
)
_ASKS_IF = re.compile(
    r"\b(?:if|whether) you (?:have|do|offer|sell|take|accept|can|could|treat)\b"
    rf"|\b(?:can|could|do|does|did|is|are|am|will|would|should|may|must) {_SUBJECT}\b"
)
_LEAST = 3
"""Words of a clause that can stand alone; a shorter one belongs to what was said before it."""
_PHRASE = 4
"""Words between "how many" and the "do I" of the same question, at most."""
_RELATIVE, _RELATIVES = 6, frozenset({"where", "which", "who", "when"})
"""Words between "is there" and the "where" that belongs to the same question, at most."""
_MORE = 12
"""Words that are looked up beside those that were said."""
_EMBEDDING = frozenset({"know", "tell", "wondering", "ask"})


def clause_start(texts: Sequence[str]) -> int:
    """The index of the word with which the last whole question begins; 0 when no word opens one."""
    text, start, what, whether = " ".join(texts), 0, -_PHRASE - 1, -_RELATIVE - 1
    openers = [(found.start(), True) for found in _ASKS_WHAT.finditer(text)]
    openers += [(found.start(), False) for found in _ASKS_IF.finditer(text)]
    for position, asks_what in sorted(openers):
        at = text[:position].count(" ")
        if len(texts) - at < _LEAST or (not asks_what and at - what <= _PHRASE):
            continue
        if asks_what and at - whether <= _RELATIVE and texts[at] in _RELATIVES and texts[at - 1] not in ("and", "or"):
            continue  # "is there a room where i can wait"
        what, whether = (at, whether) if asks_what else (what, at)
        before = texts[at - 2] if at > 1 and texts[at - 1] == "me" else texts[at - 1] if at else ""
        if before not in _EMBEDDING or texts[at] in ("if", "whether"):
            start = at
    return start


@functools.cache
def _idioms() -> tuple[tuple[tuple[str, ...], re.Pattern[str]], ...]:
    found = []
    for line in phrases.data_lines("idioms.txt"):
        words, _, patterns = line.partition(" = ")
        choices = []
        for part in re.split(r"\s+\|\s+", patterns):
            pattern = re.sub(r"\(([^()]*)\)", r"(?:\1)", part.strip())
            choices.append(pattern.replace("~ ", r"(?:\S+ ){0,2}").replace("~", r"\S*"))
        found.append((tuple(words.split()), re.compile(rf"(?<!\S)(?:{'|'.join(choices)})(?!\S)")))
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _found(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(words for words, pattern in _idioms() if pattern.search(text))


def ideas(text: str) -> tuple[str, ...]:
    """What the idioms of a text (lower case, without punctuation) stand for, each once."""
    return tuple(dict.fromkeys(words[0] for words in _found(text)))


@functools.lru_cache(maxsize=4096)
def explained(text: str) -> tuple[tuple[str, str], ...]:
    """Each word that belongs to an idiom, with the idea: "sleep" of "put me to sleep" is about sedation."""
    return tuple(
        (word, words[0])
        for words, pattern in _idioms()
        for found in pattern.finditer(text)
        for word in found[0].split()
    )


def idea_words(text: str) -> tuple[str, ...]:
    """The words that documents have for the idioms of a text, each once."""
    return tuple(dict.fromkeys(word for words in _found(text) for word in words))


def says_something(texts: Sequence[str]) -> bool:
    """Whether a clause names what it is about: "how much is that" does not."""
    return any(text not in empty_words() for text in texts)


def retrieval_queries(readings: Sequence[str], most: int) -> tuple[str, ...]:
    """What to look up, best first: what was said, its question alone with what its idioms mean, the other readings."""
    if not readings:
        return ()
    texts = words_without_fillers(readings[0].lower().split())
    clause = texts[clause_start(texts) :]
    clause = clause if says_something(clause) else texts
    more = [*idea_words(" ".join(texts)), *(word for text in texts for word in synonym(text))]
    asked = " ".join([*clause, *dict.fromkeys(more[:_MORE])])
    return tuple(dict.fromkeys([readings[0], asked, *readings[1:]]))[:most]
