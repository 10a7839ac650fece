"""How well words fit the phones that were heard: the ear's second opinion.

A phone recogniser that knows no words listens beside the word recogniser. Words that only the language model wanted
don't fit its phones, so they get a low confidence. Pure; phones are ARPAbet without stress.
"""

import itertools
from collections.abc import Mapping, Sequence

_NEAR = (
    (0.25, "AH IH|AH UH|AH EH|IH IY|UH UW|AA AO|AA AH|EH AE|ER AH|AO OW|UW OW|AE AH|EY EH|ER UH|ER AO"),
    (0.3, "S Z|SH ZH|CH JH|F V|TH DH|P B|T D|K G|M N|N NG|D DH|T TH|F TH|V DH|S SH|CH SH|JH ZH|CH T|JH D|Z DH"),
    (0.5, "L R|L W|W V|L OW|L AO|B V|AY AA|AW AA|OY AO|EY IY|AY EY|IY Y|UW W|R ER|S TH|Z ZH|V F|AW AO|AE EY|EH IH"),
    (0.6, "P T|T K|P K|B D|D G|B G|M NG|HH F|HH TH|AA AE|AA OW|AO AH|UH AO|R W|OW AH|AY AE|AY AH|IY EY|UW IH|UW AH"),
)
_VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
_FAR_SAME_KIND, _FAR = 0.8, 1.2
_WEAK = frozenset(["AH", "IH", "HH", "T", "D", "R", "ER", "N"])  # come and go in running speech
_GAP, _WEAK_GAP = 0.75, 0.45


def _table() -> dict[tuple[str, str], float]:
    return {
        pair: cost
        for cost, pairs in _NEAR
        for text in pairs.split("|")
        for a, b in [text.split()]
        for pair in ((a, b), (b, a))
    }


_COSTS = _table()


def distance(one: str, other: str) -> float:
    """Cost of hearing phone `other` where `one` was said: 0 the same, about 1 unlike."""
    if one == other:
        return 0.0
    near = _COSTS.get((one, other))
    if near is not None:
        return near
    return _FAR_SAME_KIND if (one in _VOWELS) == (other in _VOWELS) else _FAR


def _gap(phone: str) -> float:
    return _WEAK_GAP if phone in _WEAK else _GAP


Column = list[float]
Origins = list[int]


def _through(phones: Sequence[str], heard: Sequence[str], column: Column, origin: Origins) -> tuple[Column, Origins]:
    """Moves a cost column over the phones of one pronunciation. `origin`: where in `heard` each path entered it."""
    gaps = [_gap(other) for other in heard]
    for phone in phones:
        skip = _gap(phone)
        moved, came = [column[0] + skip], [origin[0]]
        for at, other in enumerate(heard):
            cost, source = column[at] + distance(phone, other), origin[at]
            if (down := column[at + 1] + skip) < cost:
                cost, source = down, origin[at + 1]
            if (along := moved[at] + gaps[at]) < cost:
                cost, source = along, came[at]
            moved.append(cost)
            came.append(source)
        column, origin = moved, came
    return column, origin


def _over_gaps(heard: Sequence[str]) -> Column:
    """The cost of leaving out the first 0, 1, 2 ... heard phones."""
    return list(itertools.accumulate((_gap(phone) for phone in heard), initial=0.0))


def word_confidences(
    words: Sequence[str], heard: Sequence[str], lexicon: Mapping[str, Sequence[Sequence[str]]]
) -> list[float]:
    """Confidence in [0, 1] of each word, from the cheapest alignment of all words with all heard phones.

    `lexicon`: word -> pronunciations, each a sequence of phones. Words without one count as unheard (0).
    """
    lead = column = _over_gaps(heard)
    steps: list[tuple[Column, Origins, int]] = []
    for word in words:
        ways = lexicon.get(word) or ((),)
        tried = [_through(phones, heard, column, list(range(len(heard) + 1))) for phones in ways]
        best = [min(range(len(tried)), key=[way[0][at] for way in tried].__getitem__) for at in range(len(heard) + 1)]
        column = [tried[way][0][at] for at, way in enumerate(best)]
        steps.append((column, [tried[way][1][at] for at, way in enumerate(best)], max(1, min(map(len, ways)))))
    found, at = [0.0] * len(words), len(heard)
    for index in range(len(words) - 1, -1, -1):
        after, origin, size = steps[index]
        begin = origin[at]
        # sounds before the first word are nobody's fault: a breath, a cough, a clipped start
        before = steps[index - 1][0][begin] if index else lead[begin]
        found[index] = max(0.0, 1.0 - (after[at] - before) / size) if words[index] in lexicon else 0.0
        at = begin
    return found


def likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """How alike two pronunciations sound, in [0, 1]."""
    column, _ = _through(one, other, _over_gaps(other), [0] * (len(other) + 1))
    return max(0.0, 1.0 - column[-1] / max(1, len(one), len(other)))
