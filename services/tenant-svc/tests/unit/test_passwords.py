"""Passwords: what they must be like, how they are kept, how many are looked at at once."""

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import PasswordHasher, Type, extract_parameters
from switchboard.errors import RateLimited
from tenant_svc.identity import passwords
from tenant_svc.identity.passwords import HASHER, Passwords, outdated, password_problem
from tenant_svc.identity.tokens import digest, new_recovery_code, plain_code

pytestmark = pytest.mark.unit

EMAIL = "office@sol.example"


async def test_a_hash_is_argon2id_with_owasps_parameters() -> None:
    async with Passwords.open() as found:
        held = await found.hash("correct horse battery staple")
        parameters = extract_parameters(held)
        assert (parameters.type, parameters.memory_cost, parameters.time_cost) == (Type.ID, 19456, 2)
        assert await found.matches(held, "correct horse battery staple")
        assert not await found.matches(held, "correct horse battery stapler")
        assert not await found.matches("nonsense", "correct horse battery staple")
        assert held != await found.hash("correct horse battery staple")
    assert not outdated(held)
    assert outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


async def test_without_a_hash_the_same_work_is_done_and_nothing_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    real = passwords._verified

    def verified(held: str, password: str) -> bool:
        checked.append(held)
        return real(held, password)

    monkeypatch.setattr(passwords, "_verified", verified)
    async with Passwords.open() as found:
        assert not await found.matches(None, "the password of nobody")
    [held] = checked
    assert extract_parameters(held) == extract_parameters(HASHER.hash("x"))


async def test_so_many_at_once_and_so_many_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the event loop, which goes on."""
    at_work, most, may_go = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(held: str, password: str) -> bool:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        may_go.wait(20)
        with lock:
            at_work -= 1
        return True

    monkeypatch.setattr(passwords, "_verified", slow)
    found = Passwords(threads=2, most_waiting=3)
    tasks = [asyncio.create_task(found.matches("x", "y")) for _ in range(5)]
    while at_work < 2:
        await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await found.matches("x", "y")
    may_go.set()
    assert await asyncio.gather(*tasks) == [True] * 5
    assert most == 2
    assert await found.matches("x", "y"), "places are given back"


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 11, "x" * 129, "x" * 20, EMAIL, "Office123456!", "ababababababab"]
)
def test_what_is_no_good_password(password: str) -> None:
    problem = password_problem(password, EMAIL)
    assert problem is not None
    assert problem.fix


@pytest.mark.parametrize(
    "password", ["correct horse battery", "ünïcödé sentence", "office of sunny dentists", "x1y2z3a4b5c6"]
)
def test_what_is_a_good_password(password: str) -> None:
    assert password_problem(password, EMAIL) is None


def test_a_recovery_code_however_it_is_typed() -> None:
    code = new_recovery_code(lambda size: bytes(range(size)))
    assert code == "0001-0203-0405-0607-0809"
    for typed in (code, code.upper(), code.replace("-", ""), code.replace("-", " "), f"  {code} "):
        assert digest(plain_code(typed)) == digest(code)
