from __future__ import annotations

from uuid import UUID

import pytest
from switchboard.telemetry.redaction import MASK, mask_numbers, redact, redact_event

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "number",
    ["+441632960961", "441632960961", "+1 415 555 0100", "+44 (0) 1632 960961", "+49-30-123456", "01632960961"],
)
@pytest.mark.parametrize("around", ["{}", "sip:{}@10.0.0.1", "from {} to nobody", '"{}"', "tel:{};x", "[{}]"])
def test_what_looks_like_a_phone_number_is_masked(number: str, around: str) -> None:
    assert mask_numbers(around.format(number)) == around.format(MASK)


def test_the_number_in_livekits_room_names_is_masked() -> None:
    assert mask_numbers("call_+441632960961_x7Hq") == f"call_{MASK}_x7Hq"


@pytest.mark.parametrize(
    "innocent",
    [
        "2026-11-20T15:58:00.123456Z",
        "0195f3a2-1234-7123-8123-123456789012",
        "0195f3a2123471238123123456789012",
        "127.0.0.1:25722",
        "took 12345678 us",
        "nats-server 2.15.1",
        "RM_abc123456789def",
        "v1.2.3+20261120",
    ],
)
def test_ids_times_and_versions_are_left_alone(innocent: str) -> None:
    assert mask_numbers(innocent) == innocent


def test_values_under_telling_keys_are_masked_at_any_depth() -> None:
    event = redact_event(None, "info", {"event": "said", "Transcript": "hello", "deep": [{"caller": {"name": "x"}}]})
    assert event == {"event": "said", "Transcript": MASK, "deep": [{"caller": MASK}]}


def test_objects_are_masked_as_the_text_they_would_become() -> None:
    class Caller:
        def __str__(self) -> str:
            return "caller +441632960961"

    assert redact(Caller()) == f"caller {MASK}"
    assert redact(UUID(int=7)) == str(UUID(int=7))
    assert redact((1, 2.5, None, True)) == [1, 2.5, None, True]


def test_a_structure_without_end_is_cut() -> None:
    endless: dict[str, object] = {}
    endless["again"] = endless
    assert MASK in str(redact(endless))
