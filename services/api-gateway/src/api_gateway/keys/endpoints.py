"""API keys: for programs, each with its own scopes and its own end."""

from __future__ import annotations

from fastapi import APIRouter, Response
from switchboard.contracts.base import Empty
from switchboard.contracts.keys import LIST_KEYS, NEW_KEY, REVOKE_KEY, NewKey, RevokeKey

from api_gateway.access.caller import Authenticated
from api_gateway.access.identifiers import KeyIdInPath
from api_gateway.access.repeating import Once
from api_gateway.keys.schemas import KeyForm, KeyMadeShape, KeysShape

router = APIRouter(prefix="/v1", tags=["keys"])


@router.post("/keys", status_code=201)
async def make_key(once: Once, caller: Authenticated, form: KeyForm) -> KeyMadeShape:
    """Make an API key. It is shown this once."""
    return KeyMadeShape.of_made(await once(caller, form).ask(NEW_KEY, form.to(NewKey)))


@router.get("/keys")
async def list_keys(caller: Authenticated) -> KeysShape:
    """The keys in force, with their last use."""
    return KeysShape.of_list(await caller.ask(LIST_KEYS, Empty()))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(key_id: KeyIdInPath, caller: Authenticated) -> Response:
    """Revoke a key. Its next request is refused."""
    await caller.ask(REVOKE_KEY, RevokeKey(key_id=key_id))
    return Response(status_code=204)
