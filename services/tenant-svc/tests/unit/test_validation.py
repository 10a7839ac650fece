from __future__ import annotations

import ipaddress
from datetime import date, time
from typing import Any

import pytest
from switchboard.contracts.snapshot import Holiday, Opening
from switchboard.errors import InvalidInput
from tenant_svc.validation import (
    MAX_OPENINGS,
    address_problems,
    check,
    holidays_problems,
    hours_problems,
    language_problem,
    number_problem,
)

pytestmark = pytest.mark.unit

CARRIERS = (ipaddress.ip_network("54.172.60.0/30"), ipaddress.ip_network("2001:db8:1::/48"))


def opening(day: Any, opens: str, closes: str) -> Opening:
    return Opening(day=day, opens=time.fromisoformat(opens), closes=time.fromisoformat(closes))


@pytest.mark.parametrize("number", ["+34911000101", "+15550100123", "+442079460123"])
def test_numbers_that_can_be_dialled(number: str) -> None:
    assert number_problem(number, "/number") is None


@pytest.mark.parametrize(
    "number",
    [
        "911000101",
        "+0911000101",
        "+34 911000101",
        "+34911000101\n",
        "+999123456789",
        "+3491100",
        "+34911000101123",
        "+٣٤٩١١٠٠٠١٠١",
    ],
)
def test_numbers_that_can_not(number: str) -> None:
    problem = number_problem(number, "/number")
    assert problem is not None
    assert (problem.pointer, bool(problem.fix)) == ("/number", True)
    assert number not in problem.detail + problem.fix


def test_languages() -> None:
    assert [language_problem(tag, "/l") is None for tag in ("en", "pt-BR", "zh-Hant-TW")] == [True] * 3
    assert [language_problem(tag, "/l") is None for tag in ("english", "EN", "", "en_US", "en\n")] == [False] * 5


def test_openings_that_overlap_are_named_by_their_place() -> None:
    hours = [
        opening("monday", "15:00", "18:00"),
        opening("tuesday", "09:00", "14:00"),
        opening("monday", "09:00", "15:01"),
    ]
    assert [problem.pointer for problem in hours_problems(hours)] == ["/hours/0"]
    touching = [opening("monday", "09:00", "14:00"), opening("monday", "14:00", "18:00")]
    assert hours_problems(touching) == []


def test_too_many_openings_are_refused() -> None:
    many = [opening("monday", f"{n // 60:02}:{n % 60:02}", f"{(n + 1) // 60:02}:{(n + 1) % 60:02}") for n in range(60)]
    assert hours_problems(many[:MAX_OPENINGS]) == []
    assert [problem.pointer for problem in hours_problems(many)] == ["/hours"]


def test_holidays_stand_once_and_have_both_times_or_none() -> None:
    day = date(2026, 12, 25)
    good = [Holiday(day=day, name="Navidad"), Holiday(day=date(2026, 12, 24), name="x", opens=time(9), closes=time(12))]
    assert holidays_problems(good) == []
    bad = [
        *good,
        Holiday(day=day, name="again"),
        Holiday(day=date(2026, 1, 1), name="half", opens=time(9)),
        Holiday(day=date(2026, 1, 6), name="backwards", opens=time(12), closes=time(9)),
    ]
    assert [problem.pointer for problem in holidays_problems(bad)] == [
        "/holidays/2/day",
        "/holidays/3",
        "/holidays/4/closes",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "54.172.60.1/32",  # inside a carrier's block
        "54.172.0.0/16",  # around it
        "2001:db8:1:2::/64",
        "::ffff:54.172.60.1/128",  # the same address in another form
        "10.0.0.0/8",  # wider than one SBC
        "2000::/3",
    ],
)
def test_a_customers_sbc_has_no_address_of_a_carrier_and_no_wide_block(address: str) -> None:
    assert [problem.pointer for problem in address_problems([address], CARRIERS)] == ["/allowed_addresses/0"]


def test_a_customers_sbc_may_have_addresses_of_its_own() -> None:
    assert address_problems(["192.0.2.1/32", "198.51.100.0/28", "2001:db8:2::/64"], CARRIERS) == []


def test_all_problems_come_at_once() -> None:
    body = Holiday(day=date(2026, 1, 1), name="x")
    check([None, None], body)
    with pytest.raises(InvalidInput) as refused:
        check([number_problem("1", "/a"), None, number_problem("2", "/b")], body)
    assert [field.pointer for field in refused.value.fields] == ["/a", "/b"]
