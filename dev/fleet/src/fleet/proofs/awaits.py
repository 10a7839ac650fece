"""Every place at which a coroutine waits, one after the other.

A coroutine driven by :func:`stepped` tells of each of its suspensions, first when it is about to wait (what it waits for has
begun: the statement is on its way) and again when it goes on (that has ended, and nothing after it has happened). No code of
its own is needed for that in what is driven.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Moment = Literal["begun", "ended"]
MOMENTS: tuple[Moment, ...] = ("begun", "ended")
Tell = Callable[[int, Moment], None]
"""Called with the number of the suspension, from 1."""


@types.coroutine
def stepped(work: Coroutine[Any, Any, T], tell: Tell) -> Generator[Any, Any, T]:
    """Await ``work`` in the current task."""
    number = 0
    step: Callable[[], Any] = lambda: work.send(None)  # noqa: E731 - it is given again below
    while True:
        try:
            waited_for = step()
        except StopIteration as end:
            result: T = end.value
            return result
        number += 1
        tell(number, "begun")
        try:
            value = yield waited_for
        except BaseException as error:
            step = _thrown(work, error)
        else:
            step = _sent(work, value)
        tell(number, "ended")


def _sent(work: Coroutine[Any, Any, T], value: Any) -> Callable[[], Any]:
    return lambda: work.send(value)


def _thrown(work: Coroutine[Any, Any, T], error: BaseException) -> Callable[[], Any]:
    return lambda: work.throw(error)
