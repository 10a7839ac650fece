"""The query of Deepgram's /v1/listen, checked: what the ear can honour, what it may ignore, and what it must refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multidict import MultiMapping

MODELS = (
    "nova-3",
    "nova-3-general",
    "nova-3-medical",
    "nova-2",
    "nova-2-general",
    "nova-2-phonecall",
    "nova-2-medical",
)
LANGUAGES = ("en", "en-US", "en-GB", "en-AU", "en-NZ", "en-IN")
_NO_EFFECT = frozenset({"no_delay", "filler_words", "profanity_filter", "numerals", "mip_opt_out", "dictation"})
"""Flags that would change words the ear doesn't make anyway."""
_LABELS = frozenset({"tag", "extra"})
_NOT_HERE = frozenset(
    {"alternatives", "callback", "callback_method", "detect_entities", "diarize", "diarize_model", "multichannel",
     "redact", "replace", "search", "version"}
)  # fmt: skip
"""Deepgram's own parameters that the emulator doesn't do; refused unless they are switched off."""


class BadQuery(Exception):
    """A query that is refused; the message names the parameter."""


@dataclass(frozen=True)
class ListenOptions:
    """What was asked for. `endpointing`: seconds of silence, None: never says where speech ends."""

    model: str
    sample_rate: int
    interim_results: bool = False
    punctuate: bool = False
    vad_events: bool = False
    endpointing: float | None = 0.01
    utterance_end: float | None = None
    keyterms: tuple[str, ...] = ()


def read_query(query: MultiMapping[str]) -> ListenOptions:
    """Raises BadQuery for a parameter that Deepgram doesn't know, a value out of range, or one that isn't emulated."""
    flags = {name: _flag(query, name) for name in ("interim_results", "punctuate", "smart_format", "vad_events")}
    known = {"model", "language", "encoding", "sample_rate", "channels", "endpointing", "utterance_end_ms", "keyterm",
             "keywords", *flags, *_NO_EFFECT, *_LABELS, *_NOT_HERE}  # fmt: skip
    for name in query:
        if name not in known:
            raise BadQuery(f"Unknown query parameter: {name}")
        if name not in ("keyterm", "keywords", "tag") and len(query.getall(name)) > 1:
            raise BadQuery(f"Query parameter {name} was given more than once.")
    for name in _NO_EFFECT:
        _flag(query, name)
    for name in _NOT_HERE.intersection(query):
        if query[name] not in ("false", "1" if name in ("alternatives",) else "false"):
            raise BadQuery(f"The emulator doesn't do {name}; leave it out.")
    model = query.get("model", "nova-3")
    _check_sound(query, model)
    interim = flags["interim_results"]
    return ListenOptions(
        model=model,
        sample_rate=_number(query, "sample_rate", 8000, 48_000),
        interim_results=interim,
        punctuate=flags["punctuate"] or flags["smart_format"],
        vad_events=flags["vad_events"],
        endpointing=_endpointing(query),
        utterance_end=_utterance_end(query, interim=interim),
        keyterms=_terms(query, model),
    )


def _flag(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "false")
    if value not in ("true", "false"):
        raise BadQuery(f"Invalid value for {name}: expected true or false.")
    return value == "true"


def _number(query: Mapping[str, str], name: str, least: int, most: int) -> int:
    value = query.get(name, "")
    if not value.isdigit() or not least <= int(value) <= most:
        raise BadQuery(f"Invalid value for {name}: expected an integer from {least} to {most}.")
    return int(value)


def _check_sound(query: Mapping[str, str], model: str) -> None:
    if model not in MODELS:
        raise BadQuery("No such model/language/tier combination found.")
    if query.get("language", "en") not in LANGUAGES:
        raise BadQuery("No such model/language/tier combination found.")
    if query.get("encoding") != "linear16":
        raise BadQuery("The emulator hears encoding=linear16 only.")
    if query.get("channels", "1") != "1":
        raise BadQuery("The emulator hears one channel only.")


def _endpointing(query: Mapping[str, str]) -> float | None:
    value = query.get("endpointing", "10")
    if value == "false":
        return None
    if not value.isdigit():
        raise BadQuery("Invalid value for endpointing: expected milliseconds or false.")
    return int(value) / 1000


def _utterance_end(query: Mapping[str, str], *, interim: bool) -> float | None:
    if "utterance_end_ms" not in query:
        return None
    if not interim:
        raise BadQuery("utterance_end_ms needs interim_results=true.")
    return _number(query, "utterance_end_ms", 1000, 5000) / 1000


def _terms(query: MultiMapping[str], model: str) -> tuple[str, ...]:
    if "keyterm" in query and not model.startswith("nova-3"):
        raise BadQuery("keyterm is only available for Nova-3; use keywords.")
    if "keywords" in query and model.startswith("nova-3"):
        raise BadQuery("keywords is not available for Nova-3; use keyterm.")
    terms = [*query.getall("keyterm", []), *(word.partition(":")[0] for word in query.getall("keywords", []))]
    return tuple(terms)
