"""The contract's records: complete, about cases there are, and what the documentation shows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sip_node.testing.agent import RoomAgent
from sip_node.testing.record import (
    DIFFERS,
    NODE,
    NOT_SEEN_ON_REAL,
    REAL,
    Observation,
    Records,
    alike,
    cases,
    project,
    table,
    variants,
)
from sip_node.testing.uac import read_message

pytestmark = pytest.mark.unit

HOME = project()
TESTS = HOME / "tests"


def committed(name: str) -> Records:
    return Records(HOME / "contract" / f"{name}.json")


def test_every_case_was_seen_on_the_node() -> None:
    seen = committed(NODE).cases
    assert [case.key for case in cases(TESTS) if not variants(seen, case.key)] == []


def test_every_case_was_seen_on_the_real_one_or_says_why_not() -> None:
    seen = committed(REAL).cases
    missing = {case.key for case in cases(TESTS) if not variants(seen, case.key)}
    assert missing == set(NOT_SEEN_ON_REAL)


@pytest.mark.parametrize("name", [REAL, NODE])
def test_no_record_of_a_case_that_is_gone(name: str) -> None:
    known = {case.key for case in cases(TESTS)}
    assert [key for key in committed(name).cases if key.partition("[")[0] not in known] == []


def test_every_case_says_what_it_says() -> None:
    assert [case.key for case in cases(TESTS) if not case.words] == []


def test_both_answered_alike() -> None:
    node = committed(NODE).cases
    different = {
        key.partition("[")[0]
        for key, entry in committed(REAL).cases.items()
        if key in node and not alike(entry["seen"], node[key]["seen"])
    }
    assert different == set(DIFFERS)


def test_what_came_after_the_last_look_is_no_difference() -> None:
    whole, cut = {"room": ["joined", "left"], "api": ["canceled"]}, {"room": ["joined"]}
    assert alike(whole, cut)
    assert alike(cut, whole)
    assert not alike(whole, {"room": ["left"]})


def test_table_is_the_records() -> None:
    written = (HOME / "CONTRACT.md").read_text(encoding="utf-8")
    assert written == table(TESTS, committed(REAL).cases, committed(NODE).cases), (
        "run `python -m sip_node.testing.record`"
    )


async def test_observation_keeps_order_and_drops_repetitions_and_numbers(tmp_path: Path) -> None:
    def message(start: str, cseq: str) -> bytes:
        return f"{start}\r\nTo: <sip:1@x>;tag=t\r\nCSeq: {cseq}\r\n\r\n".encode()

    heard = [
        message("SIP/2.0 180 Ringing", "1 INVITE"),
        message("SIP/2.0 180 Ringing", "1 INVITE"),
        message("BYE sip:15551234567@10.0.0.1 SIP/2.0", "2 BYE"),
        message("SIP/2.0 200 OK", "3 BYE"),
    ]
    observation = Observation("case[a]", real=False)
    observation.leg("caller", [read_message(data, ("", 0), 0.0) for data in heard])
    observation.leg("caller", [])
    agent = RoomAgent()
    agent.events = [("joined", "sip_15551234567"), ("track", "x"), ("status", "ringing"), ("digit", "5")]
    observation.room(agent)
    observation.room(agent)
    records = Records(tmp_path / "new" / "node.json")
    records.add(observation, datetime(2026, 1, 2, tzinfo=UTC))
    records.save()
    assert Records(records.path).cases == {
        "case[a]": {
            "date": "2026-01-02",
            "seen": {
                "caller": ["180 Ringing", "BYE", "200 OK (BYE)"],
                "room": ["joined", "status ringing", "digit 5"],
                "room 2": ["joined", "status ringing", "digit 5"],
            },
        }
    }
    assert variants(records.cases, "case") == {"a": records.cases["case[a]"]}
