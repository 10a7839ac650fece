"""The chain itself: whatever is done to its lines shows, and where."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from switchboard.contracts.audit import AuditHead
from tenant_svc.audit.chain import ANCHORED_WITHIN, COVERED, FIRST_HASH, Head, Walk, digest

pytestmark = pytest.mark.unit

KEY, OTHER_KEY = b"k" * 32, b"x" * 32
TENANT = uuid.UUID(int=7)
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)

Row = dict[str, Any]


def row(seq: int, prev: bytes, key: bytes = KEY, **changes: Any) -> Row:
    made: Row = {
        "tenant_id": TENANT,
        "seq": seq,
        "id": uuid.UUID(int=seq),
        "at": NOW + timedelta(seconds=seq),
        "actor_kind": "user",
        "actor_id": "u1",
        "actor_roles": ["owner"],
        "action": "number.added",
        "resource_kind": "number",
        "resource_id": f"n{seq}",
        "service": "tenant-svc",
        "ip": "203.0.113.9",
        "user_agent": "curl/8",
        "request_id": "r",
        "trace_id": "t",
        "state_before": None,
        "state_after": '{"n":1}',
        "prev_hash": prev,
        **changes,
    }
    return {**made, "hash": digest(key, made, prev)}


def chain(length: int = 6) -> list[Row]:
    rows: list[Row] = []
    for seq in range(1, length + 1):
        rows.append(row(seq, rows[-1]["hash"] if rows else FIRST_HASH))
    return rows


def head(rows: list[Row]) -> Head:
    return Head(rows[-1]["seq"], rows[-1]["hash"])


def verified(rows: list[Row], anchor: Head | None, noted: Head | None = None) -> str:
    walk = Walk(KEY, anchor)
    walk.take(rows)
    walk.end(noted or (head(rows) if rows else Head()), LATER)
    return walk.problem


def test_a_clean_chain_holds() -> None:
    rows = chain()
    assert verified(rows, head(rows)) == ""
    assert verified(rows, head(rows[:4])) == ""  # the anchor follows a moment later


CHANGED: dict[str, Any] = {
    "tenant_id": uuid.UUID(int=8),
    "seq": 4,
    "id": uuid.UUID(int=99),
    "at": NOW,
    "actor_kind": "service",
    "actor_id": "u2",
    "actor_roles": ["admin"],
    "action": "number.removed",
    "resource_kind": "trunk",
    "resource_id": "n9",
    "service": "x",
    "ip": "203.0.113.10",
    "user_agent": "",
    "request_id": "q",
    "trace_id": "u",
    "state_before": "{}",
    "state_after": None,
    "prev_hash": bytes(32),
    "hash": b"h" * 32,
}


def test_every_column_is_among_the_changes() -> None:
    assert set(CHANGED) == {*COVERED, "prev_hash", "hash"} == set(row(1, FIRST_HASH))


@pytest.mark.parametrize("column", sorted(CHANGED))
def test_a_changed_column_is_found_in_its_line(column: str) -> None:
    rows = chain()
    rows[2] = {**rows[2], column: CHANGED[column]}
    said = "line 3 is missing" if column == "seq" else "line 3 was changed"
    assert verified(rows, head(chain())).startswith(said)


def test_a_rewritten_line_with_a_hash_of_another_key_is_found() -> None:
    rows = chain()
    rows[2] = row(3, rows[1]["hash"], OTHER_KEY, actor_id="somebody else")
    assert verified(rows, head(chain())).startswith("line 3 was changed")


def test_a_line_in_the_middle_that_is_gone_is_found() -> None:
    rows = chain()
    assert verified(rows[:2] + rows[3:], head(rows)).startswith("line 3 is missing")


def test_the_last_line_that_is_gone_is_found_by_the_anchor_alone() -> None:
    rows = chain()
    problem = verified(rows[:-1], head(rows), noted=head(rows[:-1]))
    assert problem == "lines 6 to 6 are missing at the end: line 6 was anchored"
    assert verified(rows[:-1], head(rows[:-1]), noted=head(rows)).startswith("the chain ends at line 5")


def test_two_lines_in_each_others_place_are_found() -> None:
    rows = chain()
    rows[2], rows[3] = {**rows[3], "seq": 3}, {**rows[2], "seq": 4}
    assert verified(rows, head(chain())).startswith("line 3 was changed")


def test_a_line_of_another_chain_of_the_same_key_does_not_follow() -> None:
    rows = chain()
    other = row(1, FIRST_HASH, resource_id="other")
    rows[2] = row(3, other["hash"])
    assert verified(rows, head(chain())).startswith("line 3 does not follow line 2")


def test_a_forged_line_at_the_end_is_found() -> None:
    rows = chain()
    rows.append(row(7, rows[-1]["hash"], OTHER_KEY))
    assert verified(rows, head(chain())).startswith("line 7 was changed, or was not written by the service")


def test_an_end_that_was_cut_off_and_written_anew_is_not_what_was_anchored() -> None:
    """By somebody who let the service itself write on after the cut."""
    rows = chain()
    rewritten = [*rows[:5], row(6, rows[4]["hash"], resource_id="something else")]
    assert verified(rewritten, head(rows)) == "line 6 is not the one that was anchored"


def test_a_chain_without_an_anchor_is_only_believed_while_it_is_young() -> None:
    rows = chain(1)
    assert verified(rows, None).startswith("no head is anchored")
    walk = Walk(KEY, None)
    walk.take(rows)
    assert walk.end(head(rows), rows[0]["at"] + ANCHORED_WITHIN)


def test_a_chain_that_lost_all_its_lines_is_found() -> None:
    assert verified([], head(chain())) == "lines 1 to 6 are missing at the end: line 6 was anchored"
    assert verified([], None, noted=head(chain())).startswith("the chain ends at line 0")


def test_an_anchored_head_is_read_as_it_was_written() -> None:
    assert Head.of(AuditHead(seq=3, hash="ab" * 32)) == Head(3, b"\xab" * 32)
