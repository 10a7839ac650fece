from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from call_orchestrator.calls.queries import decode_cursor, encode_cursor
from switchboard.errors import InvalidInput

pytestmark = pytest.mark.unit

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


def test_a_cursor_comes_back_as_it_was() -> None:
    assert decode_cursor(encode_cursor(AT, UUID(int=7))) == (AT, UUID(int=7))


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!", "bnVsbA", "W10", "WyIyMDI2LTAzLTAyVDA5OjAwIiwiYSJd", "é", "e30", "W1sxXSwyXQ"]
)
def test_anything_else_is_refused_with_the_fix(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_cursor(cursor)
    assert (caught.value.fields[0].pointer, "next_cursor" in caught.value.fields[0].fix) == ("/cursor", True)
