"""Whether two versions of a message can be on the bus at once, judged by their JSON schemas.

Services are deployed one after the other and facts rest in streams for a week, so each change is looked at from both
sides: today's consumer reads a message of before (``older payloads``), and a consumer that has not been deployed yet
reads today's message (``older consumers``). Everything that is written is written whole: every field, defaults too.

Only the keywords that pydantic makes of our models are known; another one is refused rather than overlooked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
Side = Literal["older payloads", "older consumers"]
Kind = Literal["removed", "required", "values", "sealed", "contract"]

_PROSE = frozenset({"title", "description", "default", "$defs", "contentEncoding"})
_CHECKED = frozenset(
    {
        *("anyOf", "type", "const", "enum", "format", "pattern", "properties", "required", "items"),
        *("additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "x-sealed"),
    }
)
_LOWER = ("minimum", "minLength", "minItems")
_UPPER = ("maximum", "maxLength", "maxItems")

_FIXES: dict[Kind, str] = {
    "removed": "keep the field (a rename is a new field beside the old one)",
    "required": "give the field a default that says what its absence meant",
    "values": "keep what it takes as wide as it was, or put the new shape into a new field with a default",
    "sealed": "words stay sealed, and what is clear stays clear: add a field beside it",
    "contract": "keep it beside the new one; once nobody sends it and no stream holds it, name it in retired.txt",
}
_READERS_FIRST = "let consumers read it in one release and write it in a later one (--readers-first {contract})"
_OR_ELSE = "or make a new version beside this one (of a request: a new method)"


@dataclass(frozen=True, slots=True)
class Break:
    """A difference that one side of the bus can't read. ``path`` is a JSON pointer; ``*`` stands for an item."""

    contract: str
    side: Side
    kind: Kind
    path: str
    what: str

    @property
    def readers_first(self) -> bool:
        """Harmless once every consumer has today's code, and nobody writes the new values before that."""
        return self.side == "older consumers" and self.kind == "values"

    def __str__(self) -> str:
        fix = _READERS_FIRST.format(contract=self.contract) if self.readers_first else _FIXES[self.kind]
        alternative = "" if self.kind == "contract" else f", {_OR_ELSE}"
        return f"{self.contract} {self.path or '/'}: {self.what}; {self.side} break. Fix: {fix}{alternative}"


def breaks(accepted: Mapping[str, Schema], today: Mapping[str, Schema], retired: frozenset[str]) -> list[Break]:
    """What today's schemas break of the accepted ones, by contract name."""
    found: list[Break] = []
    for contract, before in accepted.items():
        if contract in today:
            found += changed(contract, before, today[contract])
        elif contract.removesuffix("/request").removesuffix("/reply") not in retired:
            found.append(Break(contract, "older consumers", "contract", "", "is gone"))
    return found


def changed(contract: str, before: Schema, now: Schema) -> list[Break]:
    """What the change of one message breaks, each side once."""
    newer = _Comparison(contract, "older payloads", reader=now, writer=before)
    older = _Comparison(contract, "older consumers", reader=before, writer=now)
    found = [*newer.of("", now, before), *older.of("", before, now)]
    return sorted(set(found), key=lambda entry: (entry.path, entry.side, entry.what))


class _Comparison:
    """Every value of ``writer`` that ``reader`` would not take."""

    def __init__(self, contract: str, side: Side, *, reader: Schema, writer: Schema) -> None:
        self._contract = contract
        self._side = side
        self._reader = reader
        self._writer = writer

    def of(self, path: str, reader: Schema, writer: Schema) -> list[Break]:
        reader, writer = _resolved(reader, self._reader), _resolved(writer, self._writer)
        if "anyOf" in writer:
            return [entry for branch in writer["anyOf"] for entry in self.of(path, reader, branch)]
        if "anyOf" in reader:
            attempts = [self.of(path, branch, writer) for branch in reader["anyOf"]]
            # The branch that was meant is the one that comes nearest; a branch of another type says nothing.
            return min(attempts, key=lambda attempt: (any(e.what.startswith("type") for e in attempt), len(attempt)))
        return list(self._plain(path, reader, writer))

    def _plain(self, path: str, reader: Schema, writer: Schema) -> Iterator[Break]:
        if bool(reader.get("x-sealed")) != bool(writer.get("x-sealed")):
            yield self._found("sealed", path, "sealed on one side only")
            return
        if not _type_fits(reader.get("type"), writer.get("type")):
            yield self._values(path, f"type {writer.get('type')} where {reader.get('type')} is read")
            return
        yield from self._sets(path, reader, writer)
        yield from self._bounds(path, reader, writer)
        if "properties" in reader or "properties" in writer:
            yield from self._object(path, reader, writer)
        for keyword in ("items", "additionalProperties"):
            inner, outer = reader.get(keyword), writer.get(keyword)
            if isinstance(inner, Mapping):
                yield from self.of(f"{path}/*", inner, outer if isinstance(outer, Mapping) else {})

    def _sets(self, path: str, reader: Schema, writer: Schema) -> Iterator[Break]:
        read, written = _choices(reader), _choices(writer)
        if read is not None:
            if written is None:
                yield self._values(path, "any value where a fixed set is read")
            elif lost := [value for value in written if value not in read]:
                yield self._values(path, f"value {', '.join(map(repr, lost))} is not read")
        if written is not None:
            return
        for keyword in ("format", "pattern"):
            if keyword in reader and reader[keyword] != writer.get(keyword):
                yield self._values(path, f"{keyword} {writer.get(keyword)!r} where {reader[keyword]!r} is read")

    def _bounds(self, path: str, reader: Schema, writer: Schema) -> Iterator[Break]:
        for keyword in (*_LOWER, *_UPPER):
            if keyword not in reader:
                continue
            limit, reached = reader[keyword], writer.get(keyword)
            outside = reached is None or (reached < limit if keyword in _LOWER else reached > limit)
            if outside:
                yield self._values(path, f"{keyword} {reached} where {limit} is read")

    def _object(self, path: str, reader: Schema, writer: Schema) -> Iterator[Break]:
        read: Schema = reader.get("properties", {})
        written: Schema = writer.get("properties", {})
        required = set(reader.get("required", ()))
        # Of a message of before only what was required is sure: an older one yet may lack what had a default.
        surely = set(writer.get("required", ())) if self._side == "older payloads" else set(written)
        for name, schema in read.items():
            if name not in written and self._side == "older consumers":
                yield self._found("removed", f"{path}/{name}", "is no longer written")
            elif name in required - surely:
                yield self._found("required", f"{path}/{name}", "is required, and messages of before may lack it")
            elif name in written:
                yield from self.of(f"{path}/{name}", schema, written[name])

    def _found(self, kind: Kind, path: str, what: str) -> Break:
        return Break(self._contract, self._side, kind, path, what)

    def _values(self, path: str, what: str) -> Break:
        return self._found("values", path, what)


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    unknown = schema.keys() - _PROSE - _CHECKED
    if unknown:
        raise ValueError(f"no rule says what a change of {', '.join(sorted(unknown))} breaks; add one")
    return schema


def _type_fits(read: str | None, written: str | None) -> bool:
    return read is None or read == written or (read == "number" and written == "integer")


def _choices(schema: Schema) -> list[Any] | None:
    """The values that there are; ``None`` when it is not a fixed set."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def unaccepted(found: list[Break], readers_first: frozenset[str]) -> list[Break]:
    """Without what may be widened in ``readers_first`` contracts."""
    return [entry for entry in found if not (entry.readers_first and entry.contract in readers_first)]
