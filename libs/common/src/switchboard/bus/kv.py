"""Key-value buckets: read, compare-and-set, and a watch that survives a server restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import KeyDeletedError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from switchboard.errors import Conflict, Unavailable
from switchboard.tasks import asked_to_end

_log = structlog.get_logger(__name__)

OnEntry = Callable[[str, bytes | None], Awaitable[None]]
"""Called with key and value; ``None`` when the key was deleted."""

RETRY_SECONDS = 1.0
LISTED_AT_ONCE = 100_000
"""Subjects that nats-server puts into one answer."""


@dataclass(frozen=True, slots=True)
class Entry:
    value: bytes
    revision: int


class Bucket:
    """One KV bucket. Every method raises ``Unavailable`` when the bus does not answer."""

    def __init__(self, js: JetStreamContext, name: str) -> None:
        self._js = js
        self.name = name
        self._kv: KeyValue | None = None
        self._again = asyncio.Event()

    async def _bucket(self) -> KeyValue:
        if self._kv is None:
            self._kv = await self._js.key_value(self.name)
        return self._kv

    async def entry(self, key: str) -> Entry | None:
        try:
            found = await (await self._bucket()).get(key)
        except (KeyNotFoundError, KeyDeletedError):
            return None
        except (NatsError, OSError) as error:
            raise Unavailable(f"bucket {self.name} did not answer") from error
        return Entry(found.value or b"", found.revision or 0)

    async def get(self, key: str) -> bytes | None:
        found = await self.entry(key)
        return None if found is None else found.value

    async def keys(self) -> list[str]:
        """Of every entry there is. By the stream's own list: nats-py's ``keys()`` watches, and may end too soon."""
        prefix = f"$KV.{self.name}."
        try:
            state = (await self._js.stream_info(f"KV_{self.name}", subjects_filter=f"{prefix}>")).state
        except (NatsError, OSError) as error:
            raise Unavailable(f"bucket {self.name} did not answer") from error
        subjects = state.subjects or {}
        if len(subjects) >= LISTED_AT_ONCE:
            raise Unavailable(f"bucket {self.name} has more keys than nats-server lists at once ({LISTED_AT_ONCE})")
        found = [subject.removeprefix(prefix) for subject in sorted(subjects)]
        # What was deleted has left a marker.
        return [key for key in found if await self.entry(key) is not None]

    async def put(self, key: str, value: bytes) -> None:
        try:
            await (await self._bucket()).put(key, value)
        except (NatsError, OSError) as error:
            raise Unavailable(f"bucket {self.name} did not take a value") from error

    async def compare_and_set(self, key: str, value: bytes, revision: int) -> None:
        """Write only if the entry is still at ``revision`` (0: not there); :class:`Conflict` otherwise."""
        try:
            bucket = await self._bucket()
            await (bucket.update(key, value, last=revision) if revision else bucket.create(key, value))
        except KeyWrongLastSequenceError:
            raise Conflict(f"bucket {self.name}: somebody wrote that entry first") from None
        except (NatsError, OSError) as error:
            raise Unavailable(f"bucket {self.name} did not take a value") from error

    async def purge(self, key: str) -> None:
        try:
            await (await self._bucket()).purge(key)
        except (NatsError, OSError) as error:
            raise Unavailable(f"bucket {self.name} did not take a purge") from error

    def watch_again(self) -> None:
        """After a reconnect: a watch made before a server restart may stay silent for many seconds."""
        self._again.set()

    async def watch(self, on_entry: OnEntry, on_caught_up: Callable[[], None]) -> None:
        """Every entry now and every change, until cancelled; ``on_caught_up`` after each full pass."""
        while True:
            self._again.clear()
            try:
                watcher = await (await self._bucket()).watchall()
                try:
                    await self._follow(watcher, on_entry, on_caught_up)
                finally:
                    with suppress(NatsError, OSError):
                        await watcher.stop()  # type: ignore[no-untyped-call]
            except (NatsError, OSError) as error:
                _log.warning("watch lost", bucket=self.name, error=type(error).__name__)
                self._kv = None
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, watcher: KeyValue.KeyWatcher, on_entry: OnEntry, on_caught_up: Callable[[], None]) -> None:
        while not self._again.is_set():
            if asked_to_end():
                # nats-py waits with asyncio.wait_for, which in Python 3.11 swallows a cancellation that meets an update.
                raise asyncio.CancelledError
            try:
                update = await watcher.updates(timeout=1.0)  # type: ignore[no-untyped-call]
            except (NatsTimeoutError, TimeoutError):
                continue
            if update is None:  # nats-py's marker: everything that was there has been seen
                on_caught_up()
                continue
            gone = update.operation in ("DEL", "PURGE")
            await on_entry(update.key, None if gone else update.value)
