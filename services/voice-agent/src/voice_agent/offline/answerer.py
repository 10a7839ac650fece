"""The offline answerer: pure functions from what was heard and what was retrieved to what is said.

    decision = decide(heard, passages, asked=earlier_ask_agains, last_said=last_agent_text, today="monday")

``Answer``: a passage says it. ``AskAgain``: unsure what was asked; the driver passes all AskAgains since the last other
decision back as `asked`, so that a "yes" confirms a guess, a repetition confirms a half-heard name or question, and the
third failure gives up. ``DontKnow``: clearly heard, the passages are silent. ``SmallTalk``: needs no documents.

A wrong price is the worst failure. A question in the usual form gets one only when every word heard in it belongs to that
item's name, each word fits the phones heard, and no other reading names another item nearly as well. Everything else is
answered by the fact that ``relevance`` finds likeliest, if it is likely enough and was heard well enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from voice_agent.offline import phrasing
from voice_agent.offline.answers import Answer, AskAgain, Decision, DontKnow, Passage, SmallTalk
from voice_agent.offline.asking import DAYS, Asking, Talk, classify, stem
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.matching import (
    EntryMatch,
    ItemMatch,
    Known,
    known_facts,
    match_entries,
    match_items,
    names_inside,
    sounds_listed,
)
from voice_agent.offline.phrases import function_words
from voice_agent.offline.relevance import LIKELY, SURE, Match, matches
from voice_agent.offline.spoken import words

__all__ = ["Answer", "AskAgain", "Decision", "DontKnow", "Passage", "SmallTalk", "decide"]

_SURE_ITEM, _LIKELY_ITEM = 0.7, 0.48  # confidence in a priced item's name: say the price, ask whether it is meant
_VERY_SURE_ITEM = 0.8  # said although little words stand around the name
_RIVAL = 0.08  # another item's name this close behind: ask which
_COVERED, _HALF_COVERED, _ALIKE, _SURE_ENTRY, _SURE_TEXT = 0.7, 0.6, 0.4, 0.62, 0.8
_UNRELATED = 0.4  # similarity below which a word in a passage's text says nothing
_SURE_HOURS = 0.62  # confidence of a question about opening hours
_SAME_QUESTION, _LIKELY_ENTRY = 0.6, 0.42  # an entry's own question, half heard: answered when it is heard again
_CLEAR = 0.74  # clarity of a question about nothing that is known
_BROKEN = 0.5  # a word below this: something else was said there
_MISHEARD = 0.4  # confidence of the whole below which nothing is read into it
_FREE_TWICE = 0.6  # mean confidence of the shared words when a likely match is heard a second time
_FREE_RIVAL = 0.1  # how far ahead of the next, in probability, the best match must be
_SURELY = 0.62  # confidence of every shared word for an answer at once
_TRIES = 2  # AskAgains before giving up
_SMALL_TALK: dict[Talk, str] = {
    "greeting": "Hello! How can I help you?",
    "goodbye": "Thank you for calling. Goodbye!",
    "thanks": "You're welcome. Is there anything else I can help you with?",
    "yes": "What would you like to know?",
    "no": "All right. Is there anything else I can help you with?",
    "wait": "Take your time.",
}


def decide(
    heard: Hypotheses,
    passages: Sequence[Passage],
    *,
    asked: Sequence[AskAgain] = (),
    last_said: str = "",
    today: str | None = None,
) -> Decision:
    """What to say next. `today`: the weekday at the clinic, lower case, for "are you open today"; None: unknown."""
    readings = [classify(reading) for reading in heard.alternatives]
    if not readings:
        return _again("silence", asked)
    best = readings[0]
    guess = asked[-1].guess if asked else None
    if best.talk is not None:
        return _talk(best, guess, asked, last_said)
    if best.reading.confidence < _MISHEARD:
        return _again("unclear", asked)
    known = known_facts(passages)
    strictly = _by_item(readings, known, guess, asked) or _by_hours(best, known, asked, today)
    if isinstance(strictly, Answer):
        return strictly
    if isinstance(strictly, AskAgain) and strictly.reason == "which" and not _whole_name(best, strictly.guess):
        return strictly  # a part of a name, or of several: none is chosen
    clear = all(word.confidence >= _SURELY for word in best.reading.words)
    free, own = _freely(best, known, guess), None if clear else _likely_entry(best, known)
    if free.answer is not None:
        return free.answer
    entry = None if clear or strictly is not None else _by_entry(readings, known)
    if entry is not None:
        return entry
    if own is not None and guess is not None and guess.quote == own.quote:
        return own
    if strictly is not None:
        return strictly
    if free.meant is not None and not asked:
        return _meant(free.meant, asked)
    if len(free.rivals) > 1 and not asked:
        return _which([one.known for one in free.rivals], asked)
    return _nothing(best, known, asked, own or free.once_more)


def _talk(best: Asking, guess: Answer | None, asked: Sequence[AskAgain], last_said: str) -> Decision:
    assert best.talk is not None
    # Right after "did you ask about ...?" a yes is what is expected, so less of it needs to be heard.
    named = guess is not None and asked[-1].reason == "which"
    if guess is not None and named and best.talk == "yes" and best.reading.confidence >= _MISHEARD:
        return guess
    if best.reading.confidence < _LIKELY_ITEM:
        return _again("unclear", asked)
    if guess is not None and best.talk == "no":
        return AskAgain("rejected", "Sorry about that. Could you say again what you would like to know?")
    if best.talk in ("repeat", "pardon"):
        return SmallTalk(best.talk, last_said or _SMALL_TALK["greeting"])
    return SmallTalk(best.talk, _SMALL_TALK[best.talk])


def _again(
    reason: Literal["silence", "unclear"], asked: Sequence[AskAgain], guess: Answer | None = None
) -> AskAgain | DontKnow:
    if len(asked) >= _TRIES:
        return DontKnow(phrasing.NOT_UNDERSTOOD, understood=False)
    return AskAgain(reason, phrasing.AGAIN[min(len(asked), len(phrasing.AGAIN) - 1)], guess)


def _say_item(asking: Asking, match: ItemMatch, known: Sequence[Known]) -> Answer | None:
    fact = match.known.fact
    if asking.kind == "duration":
        text = phrasing.duration(fact)
    else:
        same = [k.fact for k in known if k.fact.kind == "price" and k.fact.subject.lower() == fact.subject.lower()]
        if len({one.says for one in same}) > 1:
            text = phrasing.several_prices(same)
        else:
            text = phrasing.offered(fact) if asking.kind == "offer" else phrasing.price(fact)
    if text is None:
        return None
    return Answer(text, match.known.passage.id, fact.quote, fact.subject, match.confidence)


def _by_item(
    readings: Sequence[Asking], known: Sequence[Known], guess: Answer | None, asked: Sequence[AskAgain]
) -> Decision | None:
    """A question whose slot names something with a price."""
    candidates: list[tuple[float, Asking, ItemMatch]] = []
    for rank, asking in enumerate(readings):
        if asking.kind == "hours":
            continue
        for match in match_items(asking, known):
            if rank and not match.whole:
                continue  # a part of a name in a lesser reading is a piece of something else
            candidates.append((match.confidence - 0.01 * rank + (0.1 if match.whole else 0.0), asking, match))
    candidates.sort(key=lambda one: -one[0])
    if not candidates:
        return _item_inside(readings[0], known, guess, asked)
    _, asking, match = candidates[0]
    answer = _say_item(asking, match, known)
    if answer is None:
        return None
    rivals = [
        m for _, a, m in candidates if m.known.fact.subject != match.known.fact.subject and m.whole == match.whole
    ]
    close = [m for m in rivals if m.confidence > match.confidence - _RIVAL]
    if close and (match.whole or len(rivals) > 0):
        return _which([match.known, *(one.known for one in close)], asked)
    repeated = guess is not None and guess.subject == answer.subject
    if match.whole and match.confidence >= _SURE_ITEM:
        return answer
    if match.confidence >= _LIKELY_ITEM:
        return answer if repeated else _meant(answer, asked)
    return _again("unclear", asked)


def _item_inside(
    best: Asking, known: Sequence[Known], guess: Answer | None, asked: Sequence[AskAgain]
) -> Decision | None:
    """An item's whole name with unexpected words around it: never answered at once."""
    if best.kind not in ("price", "offer", "duration"):
        return None
    inside = names_inside(best, known)
    if not inside or inside[0].confidence < _SURE_ITEM:
        return None
    answer = _say_item(best, inside[0], known)
    if answer is None:
        return None
    # one or two little words in the wrong place ("the price on the ...") don't change what is asked
    name = set(words(answer.subject))
    extra = [word.text for word in best.slot if word.text not in name]
    harmless = len(extra) <= 2 and function_words().issuperset(extra) and answer.confidence >= _VERY_SURE_ITEM
    if harmless or (guess is not None and guess.subject == answer.subject):
        return answer
    return _meant(answer, asked)


def _meant(answer: Answer, asked: Sequence[AskAgain]) -> AskAgain | DontKnow:
    if len(asked) >= _TRIES:
        return DontKnow(phrasing.NOT_UNDERSTOOD, understood=False)
    return AskAgain("which", f"Sorry, did you ask about {answer.subject}?", answer)


def _which(items: Sequence[Known], asked: Sequence[AskAgain]) -> AskAgain | DontKnow:
    if len(asked) >= _TRIES:
        return DontKnow(phrasing.NOT_UNDERSTOOD, understood=False)
    names = list(dict.fromkeys(item.fact.subject for item in items))[:3]
    return AskAgain("which", f"Sorry, which one do you mean: {', '.join(names[:-1])} or {names[-1]}?")


def _by_hours(best: Asking, known: Sequence[Known], asked: Sequence[AskAgain], today: str | None) -> Decision | None:
    if best.kind != "hours":
        return None
    if best.reading.confidence < _SURE_HOURS:
        return _again("unclear", asked)
    texts = {word.text for word in best.reading.words}
    days = list(best.days)
    if today is not None and "today" in texts | {"now"} & texts:
        days.append(today)
    if today is not None and "tomorrow" in texts:
        days.append(DAYS[(DAYS.index(today) + 1) % 7])
    if "weekend" in texts or "weekends" in texts:
        days += ["saturday", "sunday"]
    stated = [one for one in known if one.fact.kind == "hours"]
    found = phrasing.hours([one.fact for one in stated], days)
    if found is None:
        return None
    text, fact = found
    source = next(one for one in stated if one.fact is fact)
    return Answer(text, source.passage.id, fact.quote, fact.subject, best.reading.confidence)


def _whole_name(best: Asking, guess: Answer | None) -> bool:
    said = {stem(word.text) for word in best.reading.words}
    return guess is not None and {stem(word) for word in words(guess.subject)} <= said


def _by_entry(readings: Sequence[Asking], known: Sequence[Known]) -> Answer | None:
    """An entry that has most of what was half heard."""
    found: tuple[float, Asking, EntryMatch] | None = None
    for rank, asking in enumerate(readings):
        for match in match_entries(asking, known)[:1]:
            if not match.named and 0 < match.known.passage.similarity < _UNRELATED:
                continue  # the word is there, but the passage is about something else
            covered = match.coverage >= _COVERED or (match.coverage >= _HALF_COVERED and match.likeness >= _ALIKE)
            floor = _SURE_ENTRY if match.named else _SURE_TEXT
            worth = match.coverage * match.confidence + 0.2 * match.likeness - 0.02 * rank
            good = covered and min(match.confidence, asking.reading.confidence) >= floor
            if good and (found is None or worth > found[0]):
                found = (worth, asking, match)
    return None if found is None else _say_entry(found[1], found[2])


def _say_entry(asking: Asking, match: EntryMatch) -> Answer:
    fact = match.known.fact
    text = phrasing.statement(fact, [word.text for word in asking.content])
    return Answer(text, match.known.passage.id, fact.quote, fact.subject, match.confidence)


def _is_its_question(asking: Asking, match: EntryMatch) -> bool:
    heard = min(asking.reading.confidence, *(word.confidence for word in asking.content))
    return match.named and match.coverage >= _COVERED and match.likeness >= _SAME_QUESTION and heard >= _LIKELY_ENTRY


def _likely_entry(best: Asking, known: Sequence[Known]) -> Answer | None:
    """An entry whose own question seems to have been asked: two takes that agree are worth more than one."""
    for match in match_entries(best, known)[:1]:
        if _is_its_question(best, match):
            return _say_entry(best, match)
    return None


@dataclass(frozen=True)
class _Free:
    """What free speech seems to be about. ``once_more``: the same heard again is enough; ``meant``: ask whether it is."""

    answer: Answer | None = None
    once_more: Answer | None = None
    meant: Answer | None = None
    rivals: tuple[Match, ...] = ()


def _freely(best: Asking, known: Sequence[Known], guess: Answer | None) -> _Free:
    """What the best reading is about, in whatever words it was put."""
    if best.kind == "hours" or best.reading.confidence < _BROKEN:
        return _Free()
    found = matches(best, known)
    if not found or found[0].probability < LIKELY:
        return _Free()
    first = found[0]
    answer = _say_match(best, first, known)
    rivals = [m for m in found[1:] if m.known.fact.says != first.known.fact.says or m.known.fact.kind != "price"]
    ahead = not rivals or first.probability - rivals[0].probability >= _FREE_RIVAL
    if answer is None or (not ahead and first.known.fact.kind != "price"):
        return _Free()
    if not ahead:
        named = {m.known.fact.subject: m for m in (first, *rivals) if m.known.fact.kind == "price"}
        return _Free(rivals=tuple(named.values()))
    if first.probability < SURE or first.doubtful:
        return _Free(meant=answer if first.known.fact.kind == "price" else None)
    if first.surely_heard >= _SURELY:
        return _Free(answer)
    if guess is not None and guess.quote == answer.quote and first.confidence >= _FREE_TWICE:
        return _Free(answer)
    return _Free(once_more=answer)


def _say_match(asking: Asking, match: Match, known: Sequence[Known]) -> Answer | None:
    fact = match.known.fact
    if fact.kind == "price":
        return _say_item(asking, ItemMatch(match.known, match.confidence, True), known)
    text = phrasing.statement(fact, [word.text for word in asking.content])
    return Answer(text, match.known.passage.id, fact.quote, fact.subject, match.confidence)


def _nothing(
    best: Asking, known: Sequence[Known], asked: Sequence[AskAgain], likely: Answer | None
) -> AskAgain | DontKnow:
    """Nothing known fits: clearly heard means that the documents are silent."""
    floor = _SURE_ITEM + 0.05 if best.kind != "other" and sounds_listed(best, known) else _BROKEN
    broken = [word for word in best.slot if word.confidence < floor]
    broken += [word for word in best.reading.words if word.confidence < _BROKEN]
    if best.content and best.clarity >= _CLEAR and not broken and (likely is None or asked):
        return DontKnow(phrasing.UNKNOWN)
    return _again("unclear", asked, likely)
