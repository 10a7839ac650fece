"""The catalogue: every message there is. Streams, consumers, permissions and schemas come from here only."""

from __future__ import annotations

from typing import Any

from switchboard.contracts import audit, calls, documents, identity, keys, members, tenants
from switchboard.contracts.base import Actor, Command, Contract, Fact, Live, Rpc
from switchboard.contracts.snapshot import TenantSnapshot

FACTS: tuple[type[Fact], ...] = (
    calls.CallAnswered,
    calls.TurnRecorded,
    calls.ConversationSaved,
    calls.CallEnded,
    calls.MediaHint,
    calls.CallOpened,
    calls.CallClosed,
    documents.DocumentUploaded,
    documents.DocumentProgress,
    documents.DocumentIndexed,
    tenants.TenantCreated,
    tenants.ConfigurationPublished,
    tenants.TrunksChanged,
    audit.AuditRecorded,
    audit.AuditAppended,
)

RPCS: tuple[Rpc[Any, Any], ...] = (
    calls.ADMIT,
    calls.HEARTBEAT,
    calls.GET_CALL,
    calls.LIST_CALLS,
    calls.REQUEST_END,
    calls.PREVIEW,
    calls.LISTEN,
    documents.REGISTER,
    documents.GET_DOCUMENT,
    documents.LIST_DOCUMENTS,
    documents.FORGET_DOCUMENT,
    documents.INDEX,
    documents.SEARCH,
    documents.SPEECH_TEXTS,
    identity.WANT_LINK,
    identity.REDEEM_LINK,
    identity.SIGN_IN,
    identity.SECOND_FACTOR,
    identity.AUTHENTICATE_SESSION,
    identity.ME,
    identity.LIST_SESSIONS,
    identity.END_SESSION,
    identity.CHANGE_PASSWORD,
    identity.BEGIN_TOTP,
    identity.CONFIRM_TOTP,
    identity.DISABLE_TOTP,
    identity.NEW_TENANT,
    identity.CHOOSE_TENANT,
    members.ACCEPT_INVITATION,
    members.LIST_MEMBERS,
    members.SET_ROLE,
    members.REMOVE_MEMBER,
    members.INVITE,
    members.LIST_INVITATIONS,
    members.REVOKE_INVITATION,
    members.LET_SUPPORT_IN,
    members.LIST_SUPPORT_ACCESS,
    members.END_SUPPORT_ACCESS,
    keys.AUTHENTICATE,
    keys.NEW_KEY,
    keys.LIST_KEYS,
    keys.REVOKE_KEY,
    tenants.GET_TENANT,
    tenants.ADD_LOCATION,
    tenants.SET_HOLIDAYS,
    tenants.ADD_NUMBER,
    tenants.ADD_TRUNK,
    tenants.CONNECT_TRUNK,
    tenants.LIST_TRUNKS,
    tenants.SET_AGENT,
    tenants.LIST_PROVIDERS,
    tenants.PUBLISH,
    tenants.GO_LIVE,
    tenants.PAUSE,
    audit.LIST_AUDIT,
)

COMMANDS: tuple[Command[Any, Any], ...] = (calls.END_CALL, calls.PULSE)

LIVES: tuple[type[Live], ...] = (calls.LiveWords, calls.LiveSource, calls.LiveState)

REQUESTS: tuple[Rpc[Any, Any] | Command[Any, Any], ...] = (*RPCS, *COMMANDS)

STORED: dict[str, type[Contract]] = {
    "snapshot/1": TenantSnapshot,
    "actor/1": Actor,
    audit.HEAD_CONTRACT: audit.AuditHead,
}
"""What travels outside of a message's payload: the value of a bucket, a header of the envelope."""

FACTS_BY_CONTRACT: dict[str, type[Fact]] = {fact.contract(): fact for fact in FACTS}


def models() -> dict[str, type[Contract]]:
    """The payload of every message by contract name; those of requests have ``/request`` and ``/reply`` at their end."""
    models: dict[str, type[Contract]] = STORED | {fact.contract(): fact for fact in FACTS}
    models |= {live.contract(): live for live in LIVES}
    for request in REQUESTS:
        models[request.contract() + "/request"] = request.request
        models[request.contract() + "/reply"] = request.reply
    return dict(sorted(models.items()))


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schema of every message, by contract name; compared with the golden files."""
    return {name: model.model_json_schema() for name, model in models().items()}
