"""The gate: a change that somebody on the bus would break on is refused, by name of the field and with what to do."""

from __future__ import annotations

import enum
import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field, create_model
from switchboard.contracts import catalogue, golden
from switchboard.contracts.base import Contract
from switchboard.contracts.compatibility import Break, breaks, changed, unaccepted
from switchboard.sealed import Sealed

pytestmark = pytest.mark.unit

ACCEPTED = Path(__file__).parent / "golden"
NOBODY_RETIRED: frozenset[str] = frozenset()


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class LessColour(enum.StrEnum):
    RED = "red"


class Inner(Contract):
    a: int
    b: str = ""


class InnerWithout(Contract):
    a: int


class InnerRequired(Contract):
    a: int
    b: str


def schema(**fields: Any) -> dict[str, Any]:
    """Of a contract with these fields: a type, or (type, default)."""
    definitions: dict[str, Any] = {
        name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()
    }
    made: type[Contract] = create_model("Message", __base__=Contract, **definitions)
    return made.model_json_schema()


def judged(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = changed("calls.x/1", schema(**before), schema(**after))
    return [(entry.side, entry.kind, entry.path) for entry in found]


OLD, NEW = "older payloads", "older consumers"

COMPATIBLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"a": int}, {"a": int}),
    "new field with a default": ({"a": int}, {"a": int, "b": (str, "")}),
    "new optional field": ({"a": int}, {"a": int, "b": (str | None, None)}),
    "required field gets a default": ({"a": int}, {"a": (int, 0)}),
    "another default": ({"a": (int, 1)}, {"a": (int, 2)}),
    "reordered values": ({"a": Literal["x", "y"]}, {"a": Literal["y", "x"]}),
    "enum as literal": ({"a": Colour}, {"a": Literal["red", "blue"]}),
}

BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = {
    "removed": ({"a": int, "b": int}, {"a": int}, [(NEW, "removed", "/b")]),
    "removed though it had a default": ({"a": int, "b": (int, 0)}, {"a": int}, [(NEW, "removed", "/b")]),
    "renamed": ({"a": int}, {"z": int}, [(NEW, "removed", "/a"), (OLD, "required", "/z")]),
    "new required field": ({"a": int}, {"a": int, "b": str}, [(OLD, "required", "/b")]),
    "default taken away": ({"a": (int, 0)}, {"a": int}, [(OLD, "required", "/a")]),
    "another type": ({"a": int}, {"a": str}, [(NEW, "values", "/a"), (OLD, "values", "/a")]),
    "wider number": ({"a": int}, {"a": float}, [(NEW, "values", "/a")]),
    "narrower number": ({"a": float}, {"a": int}, [(OLD, "values", "/a")]),
    "no longer nullable": ({"a": int | None}, {"a": int}, [(OLD, "values", "/a")]),
    "now nullable": ({"a": int}, {"a": int | None}, [(NEW, "values", "/a")]),
    "enum value removed": ({"a": Colour}, {"a": LessColour}, [(OLD, "values", "/a")]),
    "enum value added": ({"a": LessColour}, {"a": Colour}, [(NEW, "values", "/a")]),
    "literal value removed": ({"a": Literal["x", "y"]}, {"a": Literal["x"]}, [(OLD, "values", "/a")]),
    "const changed": ({"a": Literal["x"]}, {"a": Literal["y"]}, [(NEW, "values", "/a"), (OLD, "values", "/a")]),
    "text becomes a fixed set": ({"a": str}, {"a": Literal["x"]}, [(OLD, "values", "/a")]),
    "shorter": ({"a": (str, Field(max_length=9))}, {"a": (str, Field(max_length=8))}, [(OLD, "values", "/a")]),
    "limit added": ({"a": str}, {"a": (str, Field(max_length=8))}, [(OLD, "values", "/a")]),
    "limit lifted": ({"a": (str, Field(max_length=8))}, {"a": str}, [(NEW, "values", "/a")]),
    "higher minimum": ({"a": (int, Field(ge=0))}, {"a": (int, Field(ge=1))}, [(OLD, "values", "/a")]),
    "pattern added": ({"a": str}, {"a": (str, Field(pattern="^a"))}, [(OLD, "values", "/a")]),
    "no longer sealed": ({"a": Sealed}, {"a": str}, [(NEW, "sealed", "/a"), (OLD, "sealed", "/a")]),
    "items of another type": (
        {"a": tuple[int, ...]},
        {"a": tuple[str, ...]},
        [(NEW, "values", "/a/*"), (OLD, "values", "/a/*")],
    ),
    "fewer items": (
        {"a": (tuple[int, ...], Field(max_length=9))},
        {"a": (tuple[int, ...], Field(max_length=8))},
        [(OLD, "values", "/a")],
    ),
    "values of a mapping": ({"a": dict[str, int | str]}, {"a": dict[str, int]}, [(OLD, "values", "/a/*")]),
    "removed further in": ({"a": Inner}, {"a": InnerWithout}, [(NEW, "removed", "/a/b")]),
    "required further in": ({"a": tuple[Inner, ...]}, {"a": tuple[InnerRequired, ...]}, [(OLD, "required", "/a/*/b")]),
    "removed behind an optional": ({"a": Inner | None}, {"a": InnerWithout | None}, [(NEW, "removed", "/a/b")]),
}


@pytest.mark.parametrize("case", COMPATIBLE)
def test_what_everybody_can_read_is_accepted(case: str) -> None:
    before, after = COMPATIBLE[case]
    assert judged(before, after) == []


@pytest.mark.parametrize("case", BROKEN)
def test_what_somebody_can_not_read_is_refused(case: str) -> None:
    before, after, expected = BROKEN[case]
    assert judged(before, after) == expected


def test_the_message_names_contract_field_and_fix() -> None:
    (found,) = changed("calls.turn/1", schema(a=int), schema(a=int, b=str))
    assert str(found) == (
        "calls.turn/1 /b: is required, and messages of before may lack it; older payloads break. Fix: give the field a "
        "default that says what its absence meant, or make a new version beside this one (of a request: a new method)"
    )


def test_a_keyword_that_no_rule_knows_is_not_overlooked() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        changed("calls.x/1", schema(a=(int, Field(multiple_of=2))), schema(a=int))


def test_a_contract_that_is_gone_must_have_been_retired() -> None:
    accepted = {"calls.x/1": schema(a=int), "calls.y/1/request": schema(a=int)}
    found = breaks(accepted, {}, NOBODY_RETIRED)
    assert [(entry.contract, entry.kind) for entry in found] == [
        ("calls.x/1", "contract"),
        ("calls.y/1/request", "contract"),
    ]
    assert breaks(accepted, {}, frozenset({"calls.x/1", "calls.y/1"})) == []


def test_only_more_values_may_be_accepted_readers_first() -> None:
    widened = changed("calls.x/1", schema(a=LessColour), schema(a=Colour))
    removed = changed("calls.x/1", schema(a=int, b=int), schema(a=int))
    narrowed = changed("calls.x/1", schema(a=Colour), schema(a=LessColour))
    named = frozenset({"calls.x/1"})
    assert unaccepted(widened, named) == []
    assert unaccepted(widened, frozenset({"calls.y/1"})) == widened
    assert unaccepted([*removed, *narrowed], named) == [*removed, *narrowed]


# -- the catalogue as it is -------------------------------------------------------------------------------------------


def described(found: list[Break]) -> str:
    return "\n".join(map(str, found)) or "run `make contracts` and read the diff"


def test_the_catalogue_breaks_nobody() -> None:
    found = breaks(golden.accepted(ACCEPTED), catalogue.schemas(), golden.retired(ACCEPTED))
    assert found == [], described(found)


def sabotaged(contract: str, change: str) -> dict[str, Any]:
    today = deepcopy(catalogue.schemas())
    message = today[contract]
    if change == "remove":
        message["properties"].pop("seq")
    elif change == "require":
        message["required"].append("why")
        message["properties"]["why"] = {"type": "string"}
    elif change == "drop":
        today.pop(contract)
    elif change == "widen":
        message["$defs"]["EndReason"]["enum"].append("struck_by_lightning")
    return today


@pytest.mark.parametrize("change", ["remove", "require", "drop", "widen"])
def test_a_break_of_a_real_contract_is_not_written(tmp_path: Path, change: str) -> None:
    golden.write(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}

    found = golden.write(tmp_path, today=sabotaged("calls.ended/1", change))

    assert {entry.contract for entry in found} == {"calls.ended/1"}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_the_explicit_steps_are_taken(tmp_path: Path) -> None:
    golden.write(tmp_path)

    assert golden.write(tmp_path, frozenset({"calls.ended/1"}), sabotaged("calls.ended/1", "widen")) == []
    assert "struck_by_lightning" in (tmp_path / "calls.ended_1.json").read_text()

    (tmp_path / golden.RETIRED).write_text("# when, why\ncalls.opened/1 nobody reads it\n")
    assert golden.write(tmp_path, today=sabotaged("calls.opened/1", "drop") | widened()) == []
    assert not (tmp_path / "calls.opened_1.json").exists()


def widened() -> dict[str, Any]:
    return {"calls.ended/1": sabotaged("calls.ended/1", "widen")["calls.ended/1"]}


def test_what_is_compatible_is_written(tmp_path: Path) -> None:
    golden.write(tmp_path)
    today = deepcopy(catalogue.schemas())
    today["calls.ended/1"]["properties"]["note"] = {"type": "string", "default": ""}

    assert golden.write(tmp_path, today=today) == []
    assert "note" in json.loads((tmp_path / "calls.ended_1.json").read_text())["properties"]
