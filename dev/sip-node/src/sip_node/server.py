"""Requests become calls: what is answered at once, what starts a call, what belongs to one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from sip_node.call import InboundCall, new_call_info
from sip_node.call_state import CallRecord
from sip_node.dispatch import Auth, AuthResult, authenticate, sip_call
from sip_node.leg import CallLeg, CallServices
from sip_node.logs import call_key
from sip_node.psrpc.client import RpcError
from sip_node.sip.dialog import Dialog, LocalIdentity
from sip_node.sip.digest import Authenticator
from sip_node.sip.endpoint import Endpoint
from sip_node.sip.inbound_dialog import InboundDialog
from sip_node.sip.message import ALLOW, Request, build_response
from sip_node.sip.transaction import ServerTransaction, Timers
from sip_node.transfer import NotifyError, parse_notify
from sip_node.waiting import ExpiringCache

log = structlog.get_logger()

DEFAULT_MAX_CALLS: Final = 10
_NOTIFY_WAIT_S: Final = 5.0
_CACHE_LIMIT: Final = 5000
_CACHE_TTL_S: Final = 60.0
_ID_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def new_call_id(rng: random.Random) -> str:
    """A LiveKit SIP call id: `SCL_` and 12 characters."""
    return "SCL_" + "".join(rng.choices(_ID_ALPHABET, k=12))


@dataclass(frozen=True)
class ServerOptions:
    """`max_calls` calls at a time; more are answered 503, because one asyncio thread paces all media."""

    max_calls: int = DEFAULT_MAX_CALLS
    hide_inbound_port: bool = False
    cache_rejections: bool = True


class SipServer:
    """The node's SIP side. `now_ns` is the wall clock in nanoseconds."""

    def __init__(
        self,
        services: CallServices,
        local: LocalIdentity,
        options: ServerOptions,
        timers: Timers,
        now_ns: Callable[[], int],
    ) -> None:
        self.endpoint = Endpoint(self, timers)
        self.calls_total = 0
        self.refused_total = 0
        self._services, self._local, self._options, self._now_ns = services, local, options, now_ns
        self._dialogs: dict[str, Dialog] = {}
        self._calls: dict[str, CallLeg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._auth = Authenticator()
        loop = asyncio.get_running_loop()
        # (Call-ID, From tag): a retry with credentials keeps its call id; a retry of a refused call is refused alike.
        self._tags: ExpiringCache[tuple[str, str], str] = ExpiringCache(_CACHE_LIMIT, _CACHE_TTL_S, loop.time)
        self._rejected: ExpiringCache[tuple[str, str], tuple[int, str]] = ExpiringCache(
            _CACHE_LIMIT, _CACHE_TTL_S, loop.time
        )

    @property
    def active_calls(self) -> int:
        return len(self._dialogs)

    @property
    def tracks_read(self) -> int:
        return sum(call.tracks_read for call in self._calls.values())

    @property
    def at_capacity(self) -> bool:
        return len(self._dialogs) >= self._options.max_calls

    def leg(self, call_id: str) -> CallLeg | None:
        """The call of that id, in either direction."""
        return self._calls.get(call_id)

    def add(self, call: CallLeg, dialog: Dialog) -> None:
        """A call out: requests of its far side are its from now on, until `remove`."""
        self._dialogs[dialog.local_tag], self._calls[dialog.local_tag] = dialog, call
        self.calls_total += 1

    def remove(self, call_id: str) -> None:
        self._dialogs.pop(call_id, None)
        self._calls.pop(call_id, None)

    def spawn(self, work: Coroutine[Any, Any, None], call_id: str) -> None:
        """Run a call; `drained` waits for it."""
        task = asyncio.create_task(work, name=f"call-{call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_request(self, request: Request, transaction: ServerTransaction) -> None:
        """See `sip.endpoint.Handler`."""
        method = request.method
        if method == "INVITE":
            self._on_invite(request, transaction)
        elif method == "OPTIONS":
            transaction.respond(200, build_response(request, 200, "OK", to_tag=self._new_tag()))
        elif method == "BYE":
            self._on_bye(request, transaction)
        elif method == "NOTIFY":
            self._on_notify(request, transaction)
        else:
            transaction.respond(405, build_response(request, 405, "Method Not Allowed", to_tag=self._new_tag()))

    def on_ack(self, request: Request) -> None:
        """See `sip.endpoint.Handler`."""
        dialog = self._dialogs.get(request.to_tag)
        if isinstance(dialog, InboundDialog):
            dialog.acked.set()

    async def drained(self) -> None:
        """Returns when no call is left."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def kill(self) -> None:
        """End every call now: BYE to those answered, 486 to those ringing."""
        for call in tuple(self._calls.values()):
            call.kill()

    def _on_invite(self, request: Request, transaction: ServerTransaction) -> None:
        if not (request.call_id and request.from_tag and request.header("to")):
            if not self._options.hide_inbound_port:
                data = build_response(request, 400, "Bad request", to_tag=self._new_tag(), headers=[("Allow", ALLOW)])
                transaction.respond(400, data)
            self.endpoint.release(transaction)
        elif request.to_tag:
            self._on_reinvite(request, transaction)
        else:
            self._on_new_invite(request, transaction)

    def _on_reinvite(self, request: Request, transaction: ServerTransaction) -> None:
        dialog = self._dialogs.get(request.to_tag)
        if dialog is None or not dialog.established:
            data = build_response(request, 481, "Call does not exist")
            transaction.respond(481, data)
            self.endpoint.release(transaction)
        elif request.cseq_number <= dialog.invite_cseq:
            transaction.respond(500, build_response(request, 500, "Server Internal Error"))
            self.endpoint.release(transaction)
        else:
            call = self._calls.get(request.to_tag)
            if call is not None:
                call.reinvite(request.body if request.content_type in ("", "application/sdp") else b"")
            dialog.answer_again(transaction)

    def _on_new_invite(self, request: Request, transaction: ServerTransaction) -> None:
        key = (request.call_id, request.from_tag)
        call_id = self._tags.get(key) or self._new_tag()
        dialog = InboundDialog(self.endpoint, transaction, self._local, call_id)
        if (rejection := self._rejected.get(key)) is not None:
            dialog.reject(*rejection)
            return
        if call_id in self._dialogs:
            # The same call once more under another branch (a proxy forked it): one call is enough.
            dialog.reject(482, "Loop Detected")
            return
        if self.at_capacity:
            self.refused_total += 1
            log.warning("call refused: at capacity", calls=len(self._dialogs))
            dialog.reject(503, "Try again later")
            return
        self._dialogs[call_id] = dialog
        self.spawn(self._take(dialog), call_id)

    async def _take(self, dialog: InboundDialog) -> None:
        bound = log.bind(callID=dialog.local_tag, sipCall=call_key(dialog.invite.call_id))
        bound.info("INVITE", source=dialog.invite.source[0])
        try:
            await self._authorise_and_run(dialog)
        except Exception:
            bound.exception("call failed")
            dialog.reject(500, "")
        finally:
            dialog.drop()
            self.remove(dialog.local_tag)
            bound.info("call over")

    async def _authorise_and_run(self, dialog: InboundDialog) -> None:
        if not self._options.hide_inbound_port:
            dialog.respond(100, "Processing")
        call = sip_call(dialog.invite, dialog.local_tag)
        try:
            auth = await authenticate(self._services.rpc, call)
        except RpcError as error:
            log.warning("trunk authentication failed", callID=dialog.local_tag, code=error.code)
            self._reject(dialog, 503, "Try again later")
            return
        if not self._admitted(dialog, auth):
            return
        info = new_call_info(dialog.local_tag, dialog.invite, auth.trunk_id)
        record = CallRecord(self._services.rpc, info, self._now_ns)
        record.flush()
        remember = partial(self._remember, dialog)
        running = InboundCall(self._services, dialog, call, record, auth.trunk_id, remember)
        self._calls[dialog.local_tag] = running
        self.calls_total += 1
        await running.run()

    def _admitted(self, dialog: InboundDialog, auth: Auth) -> bool:
        if auth.result is AuthResult.DROP:
            dialog.drop()
        elif auth.result is AuthResult.QUOTA_EXCEEDED:
            self._reject(dialog, 503, "Service temporarily unavailable")
        elif auth.result is AuthResult.NO_TRUNK_FOUND:
            self._reject(dialog, 404, "No trunk found")
        elif auth.result is AuthResult.PASSWORD:
            return self._authenticated(dialog, auth)
        else:
            return True
        return False

    def _authenticated(self, dialog: InboundDialog, auth: Auth) -> bool:
        invite = dialog.invite
        if self._options.hide_inbound_port:
            dialog.respond(100, "Processing")
        header = invite.header("proxy-authorization")
        if not header:
            challenge = self._auth.challenge(invite.call_id, auth.realm, self._now_ns() // 1000)
            self._tags.put((invite.call_id, invite.from_tag), dialog.local_tag)
            dialog.reject(407, "Unauthorized", {"Proxy-Authenticate": challenge.header})
            return False
        wrong = self._auth.verify(invite.call_id, header, invite.method, auth.username, auth.password)
        if wrong:
            self._tags.put((invite.call_id, invite.from_tag), dialog.local_tag)
            log.warning("wrong credentials", callID=dialog.local_tag)
            dialog.reject(401, wrong)
            return False
        return True

    def _reject(self, dialog: InboundDialog, code: int, reason: str) -> None:
        dialog.reject(code, reason)
        self._remember(dialog, code, reason)

    def _remember(self, dialog: InboundDialog, code: int, reason: str) -> None:
        self.refused_total += 1
        if self._options.cache_rejections:
            self._rejected.put((dialog.invite.call_id, dialog.invite.from_tag), (code, reason))

    def _on_bye(self, request: Request, transaction: ServerTransaction) -> None:
        if not request.to_tag:
            transaction.respond(400, build_response(request, 400, "", to_tag=self._new_tag()))
            return
        dialog = self._dialogs.get(request.to_tag)
        if dialog is None:
            transaction.respond(481, build_response(request, 481, "Call does not exist"))
            return
        transaction.respond(200, build_response(request, 200, "OK"))
        call = self._calls.get(request.to_tag)
        if call is not None:
            call.remote_bye()

    def _on_notify(self, request: Request, transaction: ServerTransaction) -> None:
        call = self._calls.get(request.to_tag)
        if not request.to_tag or call is None:
            code, reason = (400, "") if not request.to_tag else (481, "Call does not exist")
            transaction.respond(code, build_response(request, code, reason, to_tag=self._new_tag()))
            return
        try:
            told = call.notified(*parse_notify(request))
        except NotifyError as error:
            transaction.respond(error.code, build_response(request, error.code, str(error)))
            return
        data = build_response(request, 200, "success")
        if told:
            transaction.respond(200, data)
        else:
            # livekit-sip first waits this long for somebody who wants to know.
            asyncio.get_running_loop().call_later(_NOTIFY_WAIT_S, transaction.respond, 200, data)

    def _new_tag(self) -> str:
        return new_call_id(self._services.rng)


def snapshot(server: SipServer, services: CallServices) -> dict[str, Any]:
    """Counts of everything a finished call must have given back."""
    return {
        "calls": server.active_calls,
        "ports": services.ports.in_use,
        "streams": services.clock.members,
        "tracks": server.tracks_read,
        "tasks": len(asyncio.all_tasks()),
    }
