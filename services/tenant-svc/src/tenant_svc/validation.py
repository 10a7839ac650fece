"""Rules that a contract can't state, each with the field, what is wrong and how to mend it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import phonenumbers
from switchboard.contracts.base import Contract
from switchboard.contracts.snapshot import WEEKDAYS, Holiday, Opening
from switchboard.errors import FieldProblem, InvalidInput

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
# One line, one @, printable ASCII: what a mail's header and an SMTP envelope can hold as it is.
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)
MAX_EMAIL = 254
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")

SMALLEST_PREFIX = {4: 16, 6: 32}
"""The widest block that one customer's SBC may have; anything wider names strangers too."""

MAX_OPENINGS = 50
"""Of one location in one week."""

_MAPPED = ipaddress.ip_network("::ffff:0:0/96")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def refuse(what: str, problems: Sequence[FieldProblem]) -> None:
    """Raise :class:`InvalidInput` when there are problems."""
    if problems:
        raise InvalidInput(f"{what} has {len(problems)} wrong field(s)", fields=problems)


def number_problem(number: str, pointer: str) -> FieldProblem | None:
    """Whether ``number`` is one that somebody could dial: E.164, a country's code, a length it uses."""
    fix = "write it in international form, + and digits only, such as +34910000000"
    if _E164.fullmatch(number) is None:
        return FieldProblem(pointer, "is not an international phone number", fix)
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return FieldProblem(pointer, "begins with no country's code", fix)
    if not phonenumbers.is_possible_number(parsed):
        return FieldProblem(pointer, "has too few or too many digits for its country", fix)
    return None


def language_problem(language: str, pointer: str) -> FieldProblem | None:
    if _LANGUAGE.fullmatch(language) is None:
        return FieldProblem(pointer, "is not a language tag", "use a tag such as en, es or pt-BR")
    return None


def email_problem(email: str, pointer: str) -> FieldProblem | None:
    if not 3 <= len(email) <= MAX_EMAIL or _EMAIL.fullmatch(email) is None:
        return FieldProblem(pointer, "is not an e-mail address", "write one such as office@clinic.example")
    return None


def hours_problems(hours: Sequence[Opening]) -> list[FieldProblem]:
    """Openings of a day don't overlap."""
    if len(hours) > MAX_OPENINGS:
        return [FieldProblem("/hours", f"has more than {MAX_OPENINGS} openings", "join openings that touch")]
    found: list[FieldProblem] = []
    for day in WEEKDAYS:
        of_day = sorted(
            ((opening.opens, opening.closes, index) for index, opening in enumerate(hours) if opening.day == day)
        )
        found += [
            FieldProblem(f"/hours/{later[2]}", f"overlaps another opening on {day}", "join the two into one")
            for earlier, later in pairwise(of_day)
            if later[0] < earlier[1]
        ]
    return found


def holidays_problems(holidays: Sequence[Holiday]) -> list[FieldProblem]:
    """A day stands once; it has both times, in order, or none."""
    found: list[FieldProblem] = []
    seen: set[object] = set()
    for index, holiday in enumerate(holidays):
        place = f"/holidays/{index}"
        if holiday.day in seen:
            found.append(FieldProblem(f"{place}/day", "stands in the list already", "name each day once"))
        seen.add(holiday.day)
        opens, closes = holiday.opens, holiday.closes
        if opens is None and closes is None:
            continue
        if opens is None or closes is None:
            fix = "give both opens and closes, or neither when it is closed all day"
            found.append(FieldProblem(place, "has only one of opens and closes", fix))
        elif opens >= closes:
            found.append(FieldProblem(f"{place}/closes", "is not later than opens", "swap them"))
    return found


def address_problems(addresses: Sequence[str], carriers: Sequence[Network]) -> list[FieldProblem]:
    """Blocks of one customer's own SBC: none of the carriers' addresses that many customers' calls come from.

    LiveKit prefers a trunk that names the dialled number, so a trunk with a carrier's address and somebody else's number
    would get that somebody's calls.
    """
    found: list[FieldProblem] = []
    for index, address in enumerate(addresses):
        pointer = f"/allowed_addresses/{index}"
        network = ipaddress.ip_network(address)
        if network.prefixlen < SMALLEST_PREFIX[network.version]:
            found.append(FieldProblem(pointer, "is wider than one SBC's block", "name the addresses that send calls"))
        elif isinstance(network, ipaddress.IPv6Network) and network.overlaps(_MAPPED):
            found.append(FieldProblem(pointer, "is an IPv4 address in IPv6 form", "write it as IPv4"))
        elif overlaps(network, carriers):
            fix = "numbers that come through a carrier belong on the trunk named platform"
            found.append(FieldProblem(pointer, "is an address of a carrier that we take calls from", fix))
    return found


def overlaps(network: Network, others: Iterable[Network]) -> bool:
    return any(network.version == other.version and network.overlaps(other) for other in others)


def check(problems: Iterable[FieldProblem | None], body: Contract) -> None:
    """Raise one :class:`InvalidInput` with all that was found about ``body``."""
    refuse(type(body).__name__, [problem for problem in problems if problem is not None])
