"""Ids and API keys from outside."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest
from api_gateway.access.api_keys import parse_api_key
from api_gateway.access.identifiers import parse_id
from switchboard.errors import InvalidId

pytestmark = pytest.mark.unit

ID = UUID("019a9b6c-1d2e-7f30-8a4b-5c6d7e8f9a0b")


@pytest.mark.parametrize("text", [str(ID), ID.hex, str(ID).upper(), ID.hex.upper()])
def test_ids(text: str) -> None:
    assert parse_id(text, "call_id") == ID


@pytest.mark.parametrize(
    "text",
    [
        "", "_", "*", ">", ID.hex + "\n", " " + ID.hex, ID.hex[:-1], ID.hex + "0", "{" + str(ID) + "}", ID.urn,
        str(ID)[:-1] + "g", "٠" * 32, str(ID).replace("-", "--"), ID.hex[:8] + "-" + ID.hex[8:], "a.b", "\x00" * 32,
    ],
)  # fmt: skip
def test_hostile_ids(text: str) -> None:
    with pytest.raises(InvalidId) as caught:
        parse_id(text, "call_id")
    assert caught.value.status == 400
    assert caught.value.fields[0].pointer == "/call_id"
    assert text == "" or len(text) < 3 or text not in str(caught.value.to_problem())


def test_a_key_becomes_its_id_and_a_digest() -> None:
    secret = "Abc_-0123456789xyz"
    found = parse_api_key(f"sb_{'0a' * 16}_{secret}")
    assert found is not None
    assert found.key_id == "0a" * 16
    assert found.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "", "sb_", "sb_x_y", f"sb_{'0' * 32}", f"sb_{'0' * 32}_", f"sb_{'0' * 32}_short", f"sk_{'0' * 32}_{'s' * 30}",
        f"sb_{'A' * 32}_{'s' * 30}", f"sb_{'0' * 31}_{'s' * 30}", f"sb_{'0' * 32}_{'s' * 30}\n",
        f"sb_{'0' * 32}_{'s' * 201}", f"sb_{'0' * 32}_{'ß' * 30}", f"sb_{'0' * 32}_{'s' * 30} ",
    ],
)  # fmt: skip
def test_what_is_no_key(text: str) -> None:
    assert parse_api_key(text) is None
