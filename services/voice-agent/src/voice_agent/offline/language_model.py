"""The tenant's language model: the tenant's own words times the general list of how callers ask.

``build_language_model(texts)`` takes the texts of the tenant's documents and configuration (clinic name, locations,
hours; one string each, Markdown or plain) and returns an ARPA trigram model with its dictionary, as bytes. It takes
about 0.5 s for a price list and a FAQ, once per published version; keep the result under its digest (``cache``).
Linear discounting: absolute discounting on the fractional counts used here wipes out the trigrams.
"""

import hashlib
import json
import math
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voice_agent.offline import phrases
from voice_agent.offline.documents import Fact, facts, priced_items
from voice_agent.offline.pronounce import pronounce
from voice_agent.offline.spoken import sentences, words

_RECIPE = "7"  # raise it when the model of the same texts changes
_BACKOFF_MASS = 0.3  # share of each context's probability that goes to shorter contexts
_QUESTION_WEIGHT, _PROSE_WEIGHT, _FLOOR_WEIGHT, _NOUN_WEIGHT = 14.0, 3.0, 2.0, 1.5
_SPEECH_WEIGHT = 40.0  # words of everyday speech, beside about 700 of questions
_LISTS = ("callers_ask.txt", "general_topics.txt", "common_words.txt", "common_nouns.txt", "spoken_english.txt")
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_TIMES = ["eight", "nine", "ten", "eleven", "noon", "one", "two", "three", "four", "five", "six", "seven"]
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


@dataclass(frozen=True)
class SpeechModel:
    """What the ear needs to hear one tenant's callers.

    `arpa`: trigram model (ARPA text). `dictionary`: lines "word PH ON ES". `digest`: of recipe and texts, hex.
    `items`: names with a price, as written in the documents.
    """

    arpa: bytes
    dictionary: bytes
    digest: str
    items: tuple[str, ...]

    @property
    def vocabulary(self) -> frozenset[str]:
        """Every word that can be heard."""
        lines = self.dictionary.decode().splitlines()
        return frozenset(line.split(" ", 1)[0].split("(", 1)[0] for line in lines)


def _phrases_of(text: Iterable[str]) -> set[str]:
    """Runs of one to three content words: what "what is your ..." may be followed by."""
    found, left_out = set[str](), phrases.function_words()
    for sentence in text:
        run: list[str] = []
        for word in [*words(sentence), "a"]:
            if word in left_out:
                found.update(" ".join(run[at : at + n]) for n in (1, 2, 3) for at in range(len(run) - n + 1))
                run = []
            else:
                run.append(word)
    return found


def _item_names(found: Sequence[Fact]) -> list[str]:
    names = [" ".join(words(name)) for name in priced_items(found)]
    return [name for name in dict.fromkeys(names) if name]


def _fillers(found: Sequence[Fact], names: Sequence[str], places: Sequence[str]) -> dict[str, list[str]]:
    topics = _phrases_of(fact.subject for fact in found if fact.kind in ("answer", "prose"))
    topics |= {" ".join(words(f.subject)) for f in found if f.kind != "price" and "?" not in f.subject}
    said = [" ".join(words(text)) for text in (*names, *places)]
    return {
        "item": _item_names(found),
        "topic": sorted(t for t in topics if t and len(t.split()) <= 4),
        "general": list(phrases.general_topics()),
        "day": _DAYS,
        "time": _TIMES,
        "place": [p for p in said if p] or ["town"],
        "name": [" ".join(words(name)) for name in names] or ["the clinic"],
    }


def _spoken_sentences(found: Sequence[Fact]) -> list[list[str]]:
    parts = [sentence for fact in found for sentence in sentences(f"{fact.subject}. {fact.says}")]
    return [said for part in parts if (said := words(part))]


class _Counts:
    """Fractional n-gram counts up to trigrams."""

    def __init__(self) -> None:
        self.grams: tuple[defaultdict[tuple[str, ...], float], ...] = tuple(defaultdict(float) for _ in range(3))

    def add(self, texts: list[list[str]], weight: float, *, ends: bool = True) -> None:
        """Counts sentences that share `weight` equally."""
        if not texts:
            return
        share = weight / len(texts)
        once: tuple[Counter[tuple[str, ...]], ...] = (Counter(), Counter(), Counter())
        for text in texts:
            marked = ["<s>", *text, "</s>"] if ends else text
            for order, counter in enumerate(once):
                counter.update(zip(*(marked[at:] for at in range(order + 1)), strict=False))
        for grams, counter in zip(self.grams, once, strict=True):
            for gram, count in counter.items():
                grams[gram] += count * share

    def add_patterns(self, patterns: Iterable[str], fillers: Mapping[str, Sequence[str]], weight: float) -> None:
        """Counts patterns with at most one slot each, times what fills it, sharing `weight` by sentence.

        Most of a pattern is the same for every filler, and few pairs of neighbours of a slot differ: so the inside
        of a pattern is counted once, and fillers only once per pair of neighbours.
        """
        marked = [["<s>", *pattern.split(), "</s>"] for pattern in patterns]
        filled = {slot: [text.split() for text in texts] for slot, texts in fillers.items()}
        plain: list[tuple[list[str], int]] = []
        around: Counter[tuple[str, tuple[str, ...], tuple[str, ...]]] = Counter()
        for tokens in marked:
            at = next((n for n, token in enumerate(tokens) if token.startswith("{")), None)
            if at is None:
                plain.append((tokens, 1))
                continue
            slot = tokens[at].strip("{}")
            if not filled[slot]:  # a tenant without documents has no items
                continue
            plain += [(tokens[:at], len(filled[slot])), (tokens[at + 1 :], len(filled[slot]))]
            around[slot, tuple(tokens[max(0, at - 2) : at]), tuple(tokens[at + 1 : at + 3])] += 1
        total = sum(count for tokens, count in plain if "<s>" in tokens)
        share = weight / max(1, total)
        for tokens, count in plain:
            self._slide(tokens, 0, len(tokens), count * share)
        for (slot, left, right), count in around.items():
            for filler in filled[slot]:
                self._slide([*left, *filler, *right], len(left), len(left) + len(filler), count * share)

    def add_shares(self, shares: Iterable[tuple[tuple[str, ...], float]], weight: float) -> None:
        """Counts n-grams by their share of running speech, as if `weight` words of it had been counted."""
        for gram, share in shares:
            self.grams[len(gram) - 1][gram] += weight * share

    def _slide(self, tokens: list[str], first: int, last: int, share: float) -> None:
        """Counts the n-grams that touch tokens[first:last]."""
        for order, grams in enumerate(self.grams):
            for at in range(max(0, first - order), min(last, len(tokens) - order)):
                grams[tuple(tokens[at : at + order + 1])] += share

    def keep(self, vocabulary: set[str]) -> None:
        """Drops every n-gram with a word that can't be pronounced."""
        allowed = vocabulary | {"<s>", "</s>"}
        self.grams = tuple(
            defaultdict(float, {g: c for g, c in grams.items() if allowed.issuperset(g)}) for grams in self.grams
        )


def _probabilities(counts: _Counts) -> list[dict[tuple[str, ...], float]]:
    unigrams = {gram: count for gram, count in counts.grams[0].items() if gram != ("<s>",)}
    total = sum(unigrams.values())
    levels = [{gram: count / total for gram, count in unigrams.items()}]
    for grams in counts.grams[1:]:
        contexts: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for gram, count in grams.items():
            contexts[gram[:-1]] += count
        levels.append({g: (1 - _BACKOFF_MASS) * c / contexts[g[:-1]] for g, c in grams.items()})
    return levels


def _backoffs(level: dict[tuple[str, ...], float], lower: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """log10 weight of each context: what was held back, spread over the words that the context never saw."""
    seen: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for gram in level:
        seen[gram[:-1]] += lower.get(gram[1:], 0.0)
    return {context: math.log10(_BACKOFF_MASS / max(1.0 - mass, 1e-4)) for context, mass in seen.items()}


def _arpa(counts: _Counts) -> bytes:
    levels = _probabilities(counts)
    backoffs = [_backoffs(levels[1], levels[0]), _backoffs(levels[2], levels[1])]
    levels[0][("<s>",)] = 1e-99
    out = ["\\data\\", *(f"ngram {n + 1}={len(level)}" for n, level in enumerate(levels)), ""]
    for n, level in enumerate(levels):
        out.append(f"\\{n + 1}-grams:")
        held = backoffs[n] if n < 2 else {}
        for gram in sorted(level):
            log = max(math.log10(level[gram]), -99.0)
            out.append(f"{log:.4f} {' '.join(gram)}" + (f" {held.get(gram, 0.0):.4f}" if n < 2 else ""))
        out.append("")
    return "\n".join([*out, "\\end\\", ""]).encode()


def _dictionary(ways: dict[str, tuple[str, ...]]) -> bytes:
    lines = [
        f"{word} {phones}" if at == 0 else f"{word}({at + 1}) {phones}"
        for word, known in sorted(ways.items())
        for at, phones in enumerate(known)
    ]
    return ("\n".join(lines) + "\n").encode()


def _build(texts: Sequence[str], names: Sequence[str], places: Sequence[str], digest: str) -> SpeechModel:
    found = [fact for text in texts for fact in facts(text)]
    fillers = _fillers(found, names, places)
    counts = _Counts()
    for section in phrases.sections():
        counts.add_patterns(section.patterns, fillers, section.weight)
    counts.add([said for fact in found if "?" in fact.subject and (said := words(fact.subject))], _QUESTION_WEIGHT)
    counts.add(_spoken_sentences(found), _PROSE_WEIGHT)
    counts.add([[w] for w in phrases.common_words()], _FLOOR_WEIGHT, ends=False)
    for shape in (["a {}", "the {}", "have {}"], ["a {} </s>", "{} </s>"]):
        nouns = [text.replace("{}", noun).split() for text in shape for noun in phrases.common_nouns()]
        counts.add(nouns, _NOUN_WEIGHT, ends=False)
    counts.add_shares(phrases.spoken_english(), _SPEECH_WEIGHT)
    wanted = {gram[0] for gram in counts.grams[0]} - {"<s>", "</s>"}
    ways = pronounce(w for w in wanted if _WORD.fullmatch(w))
    counts.keep(set(ways))
    return SpeechModel(_arpa(counts), _dictionary(ways), digest, tuple(priced_items(found)))


def model_digest(texts: Sequence[str], names: Sequence[str] = (), places: Sequence[str] = ()) -> str:
    """The name of the model of these texts; the same texts in the same order give the same digest."""
    general = [phrases.data_lines(n) for n in _LISTS]
    whole = json.dumps([_RECIPE, general, list(texts), list(names), list(places)])
    return hashlib.sha256(whole.encode()).hexdigest()[:32]


def build_language_model(
    tenant_texts: Sequence[str],
    *,
    names: Sequence[str] = (),
    places: Sequence[str] = (),
    cache: Path | None = None,
) -> SpeechModel:
    """The model of one tenant's callers.

    `tenant_texts`: the documents' passages and the configuration as text (headings inside, Markdown or plain).
    `names`, `places`: the clinic's and its locations' names. `cache`: a folder to keep models in, by digest.
    Blocking (about 0.5 s): call it in a thread. Raises PronunciationError when espeak-ng is missing.
    """
    digest = model_digest(tenant_texts, names, places)
    if cache is None:
        return _build(tenant_texts, names, places, digest)
    kept = cache / f"{digest}.json"
    if kept.is_file():
        read = json.loads(kept.read_text(encoding="utf-8"))
        return SpeechModel(read["arpa"].encode(), read["dictionary"].encode(), digest, tuple(read["items"]))
    made = _build(tenant_texts, names, places, digest)
    cache.mkdir(parents=True, exist_ok=True)
    body = json.dumps({"arpa": made.arpa.decode(), "dictionary": made.dictionary.decode(), "items": made.items})
    # written aside and renamed: another process may be reading the same name
    with tempfile.NamedTemporaryFile("w", dir=cache, suffix=".part", delete=False, encoding="utf-8") as part:
        part.write(body)
    os.replace(part.name, kept)  # noqa: PTH105  (atomic over an existing file, by name)
    return made
