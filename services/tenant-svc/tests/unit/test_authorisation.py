from __future__ import annotations

import uuid

import pytest
from switchboard.bus import Call
from switchboard.contracts.base import Actor
from switchboard.errors import InvalidInput
from tenant_svc.authorisation import newcomer

pytestmark = pytest.mark.unit


def test_a_newcomer_names_no_tenant() -> None:
    assert newcomer(Call(None, Actor.anonymous(), "api-gateway", 0.0)) == Actor.anonymous()
    with pytest.raises(InvalidInput):
        newcomer(Call(uuid.uuid4(), Actor.anonymous(), "api-gateway", 0.0))
