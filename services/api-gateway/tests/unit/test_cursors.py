from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from api_gateway.cursors import Cursors
from hypothesis import given
from hypothesis import strategies as st
from switchboard.errors import InvalidInput

pytestmark = pytest.mark.unit

OLD, NEW = b"o" * 32, b"n" * 32
LIST = f"{uuid4().hex} /v1/calls"


@given(st.text(max_size=300).filter(str.isprintable))
def test_a_cursor_comes_back_as_it_was(inner: str) -> None:
    cursors = Cursors([NEW])
    wrapped = cursors.wrap(inner, LIST)
    assert cursors.unwrap(wrapped, LIST) == inner
    assert set(wrapped) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_it_is_good_for_its_list_and_its_tenant_only() -> None:
    cursors = Cursors([NEW])
    wrapped = cursors.wrap("l12", LIST)
    for other in (LIST.replace("calls", "audit"), f"{uuid4().hex} /v1/calls", ""):
        with pytest.raises(InvalidInput) as refused:
            cursors.unwrap(wrapped, other)
        assert refused.value.fields[0].pointer == "/cursor"


def test_while_the_master_key_is_replaced_both_are_taken() -> None:
    wrapped = Cursors([OLD]).wrap("l12", LIST)
    assert Cursors([NEW, OLD]).unwrap(wrapped, LIST) == "l12"
    with pytest.raises(InvalidInput):
        Cursors([NEW]).unwrap(wrapped, LIST)


def test_whatever_was_not_made_here_is_refused() -> None:
    cursors = Cursors([NEW])
    wrapped = cursors.wrap("l12", LIST)
    raw = base64.urlsafe_b64decode(wrapped + "=" * (-len(wrapped) % 4))
    forged = [raw[:-1] + b"3", b"\x02" + raw[1:], raw[:5], b"", raw[:1] + bytes(16) + raw[17:]]
    texts = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in forged]
    for text in (*texts, "l12", "a", "x" * 700, "é", "-"):
        with pytest.raises(InvalidInput):
            cursors.unwrap(text, LIST)
