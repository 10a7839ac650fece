"""Which providers a tenant may choose: the platform's endpoints by name, each where its kind can serve. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from switchboard.contracts.providers import (
    MAX_EMBEDDINGS_DEADLINE_MS,
    OFFLINE,
    SERVES,
    STAGES,
    ChosenStage,
    ProviderChains,
    ProviderChoice,
    ProviderKind,
)
from switchboard.contracts.tenants import ProviderList, ProviderView
from switchboard.errors import FieldProblem

Kinds = Mapping[str, ProviderKind]
"""The platform's endpoints: name -> kind."""


def chains_problems(chains: ProviderChains, kinds: Kinds) -> list[FieldProblem]:
    """What stands in the way of these chains. Only endpoints count that operators have set up: a tenant names no address."""
    found: list[FieldProblem] = []
    stages: tuple[tuple[ChosenStage, Sequence[ProviderChoice]], ...] = (
        ("stt", chains.stt),
        ("llm", chains.llm),
        ("tts", chains.tts),
    )
    for stage, chain in stages:
        for at, choice in enumerate(chain):
            pointer = f"/providers/{stage}/{at}"
            found += _choice_problems(choice, stage, pointer, kinds)
            if choice.endpoint == OFFLINE and at < len(chain) - 1:
                fix = "put it last, or leave it out: it stands behind every chain anyway"
                found.append(
                    FieldProblem(f"{pointer}/endpoint", f"{OFFLINE} always answers, so what follows is lost", fix)
                )
            if _link(choice) in [_link(earlier) for earlier in chain[:at]]:
                fix = "leave it out, or choose another model or voice"
                found.append(FieldProblem(f"{pointer}/endpoint", "stands in this chain already", fix))
    if chains.embeddings is not None:
        found += _choice_problems(chains.embeddings, "embeddings", "/providers/embeddings", kinds)
        if (chains.embeddings.deadline_ms or 0) > MAX_EMBEDDINGS_DEADLINE_MS:
            fix = f"give it {MAX_EMBEDDINGS_DEADLINE_MS} at most; a caller is waiting for the search"
            found.append(FieldProblem("/providers/embeddings/deadline_ms", "is longer than a search may take", fix))
    return found


def offered(kinds: Kinds) -> ProviderList:
    """What a tenant may choose among, by name, the offline pipeline last."""
    views = [
        ProviderView(endpoint=name, kind=kind, stages=tuple(stage for stage in STAGES if stage in SERVES[kind]))
        for name, kind in sorted(kinds.items())
    ]
    return ProviderList(providers=(*views, ProviderView(endpoint=OFFLINE, kind=OFFLINE, stages=STAGES)))


def _link(choice: ProviderChoice) -> tuple[str, str, str]:
    """What makes two links the same one: waiting longer for what has just failed is no second choice."""
    return choice.endpoint, choice.model, choice.voice


def _choice_problems(choice: ProviderChoice, stage: ChosenStage, pointer: str, kinds: Kinds) -> list[FieldProblem]:
    if choice.endpoint == OFFLINE:
        fix = "leave it out; the offline voice is the agent's own field voice"
        return [
            FieldProblem(f"{pointer}/{name}", f"is not used by {OFFLINE}", fix)
            for name in ("model", "voice")
            if getattr(choice, name)
        ]
    kind = kinds.get(choice.endpoint)
    fix = f"choose one of {', '.join([*_serving(stage, kinds), OFFLINE])}"
    if kind is None:
        return [FieldProblem(f"{pointer}/endpoint", "is not a provider of this platform", fix)]
    if stage not in SERVES[kind]:
        return [FieldProblem(f"{pointer}/endpoint", f"is of kind {kind}, which can't be used for {stage}", fix)]
    return []


def _serving(stage: ChosenStage, kinds: Kinds) -> list[str]:
    return sorted(name for name, kind in kinds.items() if stage in SERVES[kind])
