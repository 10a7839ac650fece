"""What every operation of the public API must have: an operation that lacks it fails here, by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_gateway.access.repeating import _repetition
from api_gateway.access.versions import _precondition
from api_gateway.app import ROUTERS
from api_gateway.paging import _paging
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

pytestmark = pytest.mark.unit

CREATES_NOTHING = {
    "POST /v1/auth/sign-up": "sends a mail; its answer is the same for everybody",
    "POST /v1/auth/link": "as sign-up",
    "POST /v1/auth/reset": "as sign-up",
    "POST /v1/auth/redeem": "a link works once; its answer is a session's cookie, which is kept for nobody",
    "POST /v1/auth/sign-in": "every attempt counts; a session's cookie is kept for nobody",
    "POST /v1/auth/second-factor": "a code works once; a session's cookie is kept for nobody",
    "POST /v1/me/tenant": "the session that asked is over then, and its cookie was replaced",
    "POST /v1/me/second-factor": "a secret that counts for nothing yet; the newest one is confirmed",
    "POST /v1/me/second-factor/confirm": "a code works once",
    "POST /v1/me/second-factor/disable": "a code works once",
    "POST /v1/me/invitations": "an invitation is accepted once",
    "POST /v1/search": "reads",
    "POST /v1/numbers/preview": "reads",
    "POST /v1/calls/{call_id}/end": "a call is over once; ending it again changes nothing",
    "POST /webhooks/livekit": "LiveKit's event ids are the keys",
}
"""POSTs that take no ``Idempotency-Key``, and why."""

NOT_EDITED = {
    "DELETE /v1/documents/{document_id}": "a document's content never changes: there is one version to delete",
    "DELETE /v1/keys/{key_id}": "a key never changes, and is revoked once",
    "DELETE /v1/invitations/{invitation_id}": "an invitation never changes, and is taken back once",
    "DELETE /v1/support-access/{access_id}": "never changes, and ends once",
    "DELETE /v1/me/session": "is over, whatever it was",
    "DELETE /v1/me/sessions/{session_id}": "is over, whatever it was",
    "PUT /v1/me/password": "takes the current one",
}
"""PUT, PATCH and DELETE without ``If-Match``, and why."""

LISTS_WITHOUT_PAGES = {
    "GET /v1/trunks": "ten at the most",
    "GET /v1/providers": "what the operators have set up",
    "GET /v1/holidays": "a hundred at the most, edited as a whole",
    "GET /v1/tenant": "the draft, edited as a whole",
    "GET /v1/calls/{call_id}": "one call",
    "GET /v1/me": "of one person: twenty tenants at the most",
    "GET /v1/me/sessions": "the newest hundred",
    "GET /v1/keys": "a hundred at the most",
    "GET /v1/members": "five hundred at the most, each in a line",
    "GET /v1/invitations": "a hundred at the most",
    "GET /v1/support-access": "the newest hundred; each coming in is in the audit",
}


def operations() -> Iterator[tuple[str, APIRoute]]:
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            yield f"{method} {route.path}", route


def takes(route: APIRoute, dependency: object) -> bool:
    def found(dependant: Dependant) -> bool:
        return dependant.call is dependency or any(map(found, dependant.dependencies))

    return found(route.dependant)


def test_every_post_that_creates_may_be_made_again() -> None:
    """Take ``Once`` (api_gateway.access.repeating), and have the owner keep its answer (switchboard.repeats)."""
    posts = {name: route for name, route in operations() if name.startswith("POST ")}
    assert {name for name, route in posts.items() if not takes(route, _repetition)} == set(CREATES_NOTHING)


def test_every_edit_can_be_bound_to_a_version() -> None:
    """Take ``IfMatch`` (api_gateway.access.versions), and have the owner compare (switchboard.etags)."""
    edits = {name: route for name, route in operations() if name.startswith(("PUT ", "PATCH ", "DELETE "))}
    assert {name for name, route in edits.items() if not takes(route, _precondition)} == set(NOT_EDITED)


def test_every_list_comes_in_pages() -> None:
    """A GET whose answer holds an array takes ``PageWanted`` (api_gateway.paging)."""
    lists = set()
    for name, route in operations():
        model = route.response_model
        if name.startswith("GET ") and isinstance(model, type) and hasattr(model, "model_json_schema"):
            properties = model.model_json_schema().get("properties", {})
            if any(shape.get("type") == "array" for shape in properties.values()) and not takes(route, _paging):
                lists.add(name)
    assert lists == set(LISTS_WITHOUT_PAGES)
