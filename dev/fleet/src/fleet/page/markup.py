"""HTML elements whose text is always escaped: a `str` is text, only what `tag` returns is markup."""

from __future__ import annotations

from html import escape
from typing import NewType

Html = NewType("Html", tuple[str])
"""Markup. Not a `str`, so that neither can be taken for the other."""

Child = str | Html | None
Value = str | int | float | bool | None

VOID = frozenset({"meta", "input", "br"})


def raw(text: str) -> Html:
    """Text that is markup already: only for what is written in this package."""
    return Html((text,))


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """One element. `class_` and `for_` lose their underscore, others become hyphens; True stands alone, None is left out."""
    parts = [name]
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(label)
        elif value is not None and value is not False:
            parts.append(f'{label}="{escape(shown(value))}"')
    head = f"<{' '.join(parts)}>"
    return raw(head if name in VOID else f"{head}{join(*children)[0]}</{name}>")


def join(*children: Child) -> Html:
    """Several children as one."""
    return raw(
        "".join(escape(child) if isinstance(child, str) else child[0] for child in children if child is not None)
    )


def shown(value: Value) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
