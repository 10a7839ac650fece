"""How a fact is said on the phone: short, whole sentences, words as they stand in the document. Pure."""

import re
from collections.abc import Sequence

from voice_agent.offline.asking import DAYS, meaning
from voice_agent.offline.documents import PRICE, Fact
from voice_agent.offline.spoken import sentences, spoken

_LONGEST = 55  # words; longer answers are cut to the sentences that matter

AGAIN = (
    "Sorry, I didn't quite catch that. Could you say it again, please?",
    "I'm sorry, I still didn't get that. Could you say it once more?",
)
UNKNOWN = "I'm sorry, I don't have that in our information. Is there anything else I can help you with?"
NOT_UNDERSTOOD = (
    "I'm sorry, I may have misheard you, but I don't have that in our information. "
    "Is there anything else I can help you with?"
)


def price(fact: Fact) -> str:
    """ "Velora peel costs 129 dollars." and what else the row's price columns say."""
    name = fact.subject[:1].upper() + fact.subject[1:]
    verb = "cost" if re.search(r"[^s]s$", fact.subject) else "costs"
    said = f"{name} {verb} {fact.says}"
    for label, text in fact.details:
        if PRICE.search(text):
            said += f", and {label + ' ' if label else ''}{text}"
    return spoken(said + ".")


def several_prices(found: Sequence[Fact]) -> str:
    """Two documents disagree: both are said, none is chosen."""
    prices = " and ".join(dict.fromkeys(fact.says for fact in found))
    return spoken(f"For {found[0].subject} our information has more than one price: {prices}.")


def duration(fact: Fact) -> str | None:
    """ "Velora peel takes 45 minutes.", when the row says so."""
    for label, text in fact.details:
        if re.search(r"\b(?:min|minutes|mins|hours?|hrs?)\b", text, re.I) or re.match(r"(?i)dur|time|length", label):
            if text.isdigit():
                text += " minutes"
            return spoken(f"{fact.subject[:1].upper() + fact.subject[1:]} takes {text}.")
    return None


def offered(fact: Fact) -> str:
    """ "Yes, velora peel is on our price list. It costs 129 dollars." """
    return f"Yes. {price(fact)}"


def statement(fact: Fact, wanted: Sequence[str]) -> str:
    """The answer of a FAQ entry or the sentences of a paragraph that have the `wanted` words."""
    parts = sentences(spoken(fact.says), longest=400)
    if fact.kind != "prose" and "?" not in fact.subject and len(fact.says.split()) <= 12:
        return spoken(f"{fact.subject}: {fact.says.rstrip('.')}.")
    if sum(len(part.split()) for part in parts) <= _LONGEST:
        return " ".join(parts)
    keys = {meaning(word) for word in wanted}

    def worth(at: int) -> tuple[int, int]:
        return len(keys & {meaning(w) for w in re.findall(r"[a-z']+", parts[at].lower())}), -at

    best = max(range(len(parts)), key=worth)
    chosen, count = [best], len(parts[best].split())
    for at in (best + 1, best - 1):
        if 0 <= at < len(parts) and count + len(parts[at].split()) <= _LONGEST:
            chosen.append(at)
            count += len(parts[at].split())
    return " ".join(parts[at] for at in sorted(chosen))


_SHORT = {day[:3]: day for day in DAYS}


def days_of(label: str) -> tuple[str, ...]:
    """The days that a label of opening hours covers: "Mon-Fri" -> monday .. friday."""
    low = label.lower()
    if "weekday" in low:
        return DAYS[:5]
    if "weekend" in low:
        return DAYS[5:]
    if "every day" in low or "daily" in low:
        return DAYS
    named = [DAYS.index(_SHORT[short]) for short in re.findall(r"\b(mon|tue|wed|thu|fri|sat|sun)", low)]
    ranged = re.search(
        r"\b(mon|tue|wed|thu|fri|sat|sun)\w*\.?\s?(?:[-–—]|to|through)\s?(mon|tue|wed|thu|fri|sat|sun)", low
    )
    if ranged:
        first, last = DAYS.index(_SHORT[ranged[1]]), DAYS.index(_SHORT[ranged[2]])
        named += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return tuple(DAYS[at] for at in sorted(set(named)))


def hours(found: Sequence[Fact], days: Sequence[str]) -> tuple[str, Fact] | None:
    """What the opening hours say about `days` (all when empty), with the fact that says it."""
    said: list[str] = []
    first: Fact | None = None
    for fact in found:
        covered = days_of(fact.subject)
        if days and not set(days) & set(covered):
            continue
        name = " and ".join(day.capitalize() for day in days if day in covered) or fact.subject
        times = fact.says.rstrip(".")
        said.append(f"{name} we are closed" if re.match(r"(?i)closed", times) else f"{name} we are open {times}")
        first = first or fact
    if first is None:
        return None
    return spoken(". ".join(("On " if days_of(text.split(" we are ")[0]) else "") + text for text in said) + "."), first
