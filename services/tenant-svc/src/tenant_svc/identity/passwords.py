"""Passwords as Argon2id hashes, made and checked by a few threads at most.

Parameters are OWASP's (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane). The threads run beside the event loop, which
goes on serving; who comes when too many wait already is told to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from switchboard.contracts.identity import MAX_PASSWORD, MIN_PASSWORD
from switchboard.errors import FieldProblem, RateLimited

ResultT = TypeVar("ResultT")

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
THREADS = 2
MOST_WAITING = 64

_NOBODYS = HASHER.hash("the password of nobody")
"""Checked in the place of a hash that isn't there, so that it takes as long."""


class Passwords:
    """One per process. Made by :meth:`open`."""

    def __init__(self, threads: int = THREADS, most_waiting: int = MOST_WAITING) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._most = threads + most_waiting
        self._taken = 0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Passwords]:
        passwords = cls()
        try:
            yield passwords
        finally:
            passwords._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """:class:`RateLimited` when too many wait; so for :meth:`matches`."""
        return await self._run(lambda: HASHER.hash(password))

    async def matches(self, held: str | None, password: str) -> bool:
        """Whether ``password`` is the one behind ``held``. The same work is done when there is no such hash."""
        return await self._run(lambda: _verified(held or _NOBODYS, password)) and held is not None

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        with self._place():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._taken >= self._most:
            raise RateLimited("too many people sign in at this moment; try again")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


def outdated(held: str) -> bool:
    """Whether ``held`` was made with other parameters than today's."""
    return HASHER.check_needs_rehash(held)


def password_problem(password: str, email: str, pointer: str = "/password") -> FieldProblem | None:
    """Long enough, and not the address. Nothing else is asked for (NIST SP 800-63B)."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        fix = f"use {MIN_PASSWORD} to {MAX_PASSWORD} characters; a few words that you remember will do"
        return FieldProblem(pointer, "is too short or too long", fix)
    plain, name = password.casefold(), email.casefold().partition("@")[0]
    rest = plain.replace(email.casefold(), "").replace(name, "") if len(name) >= 4 else plain
    if len(set(plain)) < 5 or not rest.strip("0123456789!.-_"):
        return FieldProblem(pointer, "is easy to guess", "use a few words that have nothing to do with the address")
    return None


def _verified(held: str, password: str) -> bool:
    try:
        return HASHER.verify(held, password)
    except (VerificationError, InvalidHashError):
        return False
