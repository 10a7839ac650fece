"""A small client of the public API, as a customer's developer would write one: HTTP only, nothing of the inside.

::

    async with SwitchboardApi.open("http://127.0.0.1:8000", "sb_...") as api:
        await api.add_location("Centro", hours=[("monday", "09:00", "18:00")])
        await api.add_number("+34910000000")
        document = await api.upload_document("prices.pdf", data)
        await api.wait_document(document.document_id)
        await api.publish()
        await api.go_live()
        async with api.listen() as events:
            async for event in events: ...
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from switchboard.http import HttpClient, HttpResponse, client

from fleet.api_models import (
    Call,
    CallRecord,
    Calls,
    Document,
    Documents,
    Ending,
    Hypothesis,
    LiveEvent,
    Location,
    Number,
    Passage,
    PassageUsed,
    Preview,
    Published,
    Reply,
    SearchResult,
    Tenant,
    Timings,
    Trunk,
    Turn,
)

ReplyT = TypeVar("ReplyT", bound="Reply")


class ApiError(Exception):
    """The API answered with a problem; the message holds its detail and each wrong field with its fix."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        lines = [f"{status} {problem.get('title', '')}: {problem.get('detail', '')}"]
        lines += [f"  {e['pointer'] or 'body'}: {e['detail']} ({e['fix']})" for e in problem.get("errors", ())]
        super().__init__("\n".join(lines))


class DocumentFailed(Exception):
    """Ingestion gave the document up."""

    def __init__(self, document: Document) -> None:
        super().__init__(f"{document.name}: {document.reason}")
        self.document = document


class SwitchboardApi:
    """One tenant's view of the API. Every method raises :class:`ApiError` for an answer that is a problem, and
    ``switchboard.errors.Unavailable`` or ``DeadlineExceeded`` when there is no answer."""

    def __init__(self, http: HttpClient, api_key: str | None = None) -> None:
        self._http = http
        self.api_key = api_key

    @classmethod
    @asynccontextmanager
    async def open(cls, base_url: str, api_key: str | None = None) -> AsyncIterator[SwitchboardApi]:
        """``base_url`` without ``/v1``."""
        async with client(base_url=base_url, timeout_s=30.0) as http:
            yield cls(http, api_key)

    # -- tenant -----------------------------------------------------------------------------------------------------

    async def tenant(self) -> Tenant:
        return await self._ask(Tenant, "GET", "/tenant")

    async def add_location(
        self,
        name: str,
        *,
        hours: Iterable[tuple[str, str, str]] = (),
        address: str = "",
        notes: str = "",
        key: str | None = None,
    ) -> Location:
        """``hours`` are (day, opens, closes), e.g. ``("monday", "09:00", "18:00")``, in the tenant's time zone.

        ``key``, here and in the others: the request may be made again with it, and counts once.
        """
        openings = [{"day": day, "opens": opens, "closes": closes} for day, opens, closes in hours]
        form = {"name": name, "address": address, "hours": openings, "notes": notes}
        return await self._ask(Location, "POST", "/locations", form, key=key)

    async def set_holidays(self, holidays: Iterable[Mapping[str, Any]]) -> Tenant:
        """Each ``{"day": "2026-12-25", "name": "Christmas"}``, with ``opens`` and ``closes`` when not closed all day."""
        return await self._ask(Tenant, "PUT", "/holidays", {"holidays": [dict(holiday) for holiday in holidays]})

    async def add_number(self, number: str, *, trunk: str = "platform", carrier_account: str | None = None) -> Number:
        form = {"number": number, "trunk": trunk, "carrier_account": carrier_account}
        return await self._ask(Number, "POST", "/numbers", form)

    async def add_trunk(
        self, name: str, allowed_addresses: list[str], numbers: list[str], *, key: str | None = None
    ) -> Trunk:
        form = {"name": name, "allowed_addresses": allowed_addresses, "numbers": numbers}
        return await self._ask(Trunk, "POST", "/trunks", form, key=key)

    async def set_agent(self, **configuration: Any) -> Tenant:
        """greeting, language, voice, max_concurrent_calls, max_call_seconds, outside_hours, forward_to."""
        return await self._ask(Tenant, "PUT", "/agent", configuration)

    async def publish(self) -> Published:
        return await self._ask(Published, "POST", "/configuration/publish")

    async def go_live(self) -> Published:
        return await self._ask(Published, "POST", "/live")

    async def pause(self) -> Published:
        return await self._ask(Published, "POST", "/pause")

    # -- documents --------------------------------------------------------------------------------------------------

    async def upload_document(
        self, file_name: str, data: bytes, *, name: str | None = None, key: str | None = None
    ) -> Document:
        fields = {} if name is None else {"name": name}
        response = await self._http.post(
            "/v1/documents",
            files={"file": (file_name, data, "application/octet-stream")},
            data=fields,
            headers=self._headers(key),
        )
        return _reply(Document, response)

    async def document(self, document_id: str) -> Document:
        return await self._ask(Document, "GET", f"/documents/{document_id}")

    async def wait_document(self, document_id: str, *, timeout_s: float = 60.0, every_s: float = 0.2) -> Document:
        """The document once it is indexed; :class:`DocumentFailed`, or ``TimeoutError`` naming the last status."""
        ends = time.monotonic() + timeout_s
        while True:
            document = await self.document(document_id)
            if document.status == "indexed":
                return document
            if document.status == "failed":
                raise DocumentFailed(document)
            if time.monotonic() > ends:
                raise TimeoutError(f"{document.name} is still {document.status} after {timeout_s:.0f} s")
            await asyncio.sleep(every_s)

    async def list_documents(self, *, limit: int = 50, cursor: str | None = None) -> Documents:
        return await self._ask(Documents, "GET", "/documents", query=_page(limit, cursor))

    async def delete_document(self, document_id: str) -> None:
        _checked(await self._http.delete(f"/v1/documents/{document_id}", headers=self._headers()))

    async def search(self, query: str, *, limit: int = 5) -> SearchResult:
        return await self._ask(SearchResult, "POST", "/search", {"query": query, "limit": limit})

    # -- calls ------------------------------------------------------------------------------------------------------

    async def list_calls(self, *, limit: int = 50, cursor: str | None = None) -> Calls:
        """Newest first."""
        return await self._ask(Calls, "GET", "/calls", query=_page(limit, cursor))

    async def get_call(self, call_id: str) -> CallRecord:
        return await self._ask(CallRecord, "GET", f"/calls/{call_id}")

    async def end_call(self, call_id: str) -> Ending:
        return await self._ask(Ending, "POST", f"/calls/{call_id}/end")

    async def preview(self, number: str) -> Preview:
        """What would happen if somebody called this number of ours now."""
        return await self._ask(Preview, "POST", "/numbers/preview", {"number": number})

    @asynccontextmanager
    async def listen(self, call_id: str | None = None) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        """Entered once the server listens: nothing that is said from then on is missed. The events end when the server
        ends the stream, which it does when it stops and every quarter of an hour."""
        query = {} if call_id is None else {"call_id": call_id}
        async with self._http.stream(
            "GET", "/v1/live/events", params=query, headers=self._headers(), timeout=60.0
        ) as response:
            if response.status_code != 200:
                await response.aread()
                _checked(response)
            lines = response.aiter_lines()
            first = await anext(lines, "")
            assert first.startswith(":"), "the stream begins with a comment once the server listens"
            yield _events(lines)

    async def live_events(self, call_id: str | None = None) -> AsyncIterator[LiveEvent]:
        """Like :meth:`listen`, opened again whenever the server ends the stream."""
        while True:
            async with self.listen(call_id) as events:
                async for event in events:
                    yield event

    # -- plumbing ---------------------------------------------------------------------------------------------------

    def _headers(self, key: str | None = None) -> dict[str, str]:
        known = {} if self.api_key is None else {"authorization": f"Bearer {self.api_key}"}
        return known if key is None else known | {"idempotency-key": key}

    async def _ask(
        self,
        reply: type[ReplyT],
        method: str,
        path: str,
        form: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> ReplyT:
        response = await self._http.request(
            method, "/v1" + path, json=form, params=dict(query or {}), headers=self._headers(key)
        )
        return _reply(reply, response)


def _page(limit: int, cursor: str | None) -> dict[str, Any]:
    return {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}


def _checked(response: HttpResponse) -> HttpResponse:
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {"title": "not a problem document", "detail": response.text[:200]}
    raise ApiError(response.status_code, problem)


def _reply(reply: type[ReplyT], response: HttpResponse) -> ReplyT:
    return reply.model_validate(_checked(response).json())


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[LiveEvent]:
    """Server-Sent Events as this API writes them: one ``event`` and one ``data`` line each, comments between."""
    kind = ""
    async for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind in ("words", "source", "state"):
            yield LiveEvent.model_validate({"kind": kind, **json.loads(line.removeprefix("data: "))})
        elif not line:
            kind = ""


__all__ = [
    "ApiError",
    "Call",
    "CallRecord",
    "Calls",
    "Document",
    "DocumentFailed",
    "Documents",
    "Ending",
    "Hypothesis",
    "LiveEvent",
    "Location",
    "Number",
    "Passage",
    "PassageUsed",
    "Preview",
    "Published",
    "Reply",
    "SearchResult",
    "SwitchboardApi",
    "Tenant",
    "Timings",
    "Trunk",
    "Turn",
]
