"""Runs the parser's process for one document and takes nothing from it on trust."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from switchboard.errors import Unavailable
from switchboard.subprocesses import kill

from ingest_worker.parsing.blocks import Block, from_json
from ingest_worker.parsing.child import Limits
from ingest_worker.parsing.problems import TOO_COMPLICATED, Unreadable

_log = structlog.get_logger(__name__)

MAX_OUTPUT = 32 * 1024 * 1024
MAX_REASON = 300


class ParserTimedOut(Unavailable):
    """The parser did not end in time. Once may be a busy machine; twice is the document."""


@dataclass(frozen=True, slots=True)
class Parser:
    """``deadline_s``: wall-clock seconds for one document. ``command`` is changed by tests only."""

    limits: Limits = field(default_factory=Limits)
    deadline_s: float = 60.0
    command: Sequence[str] = (sys.executable, "-m", "ingest_worker.parsing.child")

    async def parse(self, media_type: str, data: bytes) -> list[Block]:
        """The blocks of a document.

        :class:`Unreadable`: it has none, or its parser went over a limit or crashed. :class:`ParserTimedOut`: no answer
        in time. The process is gone when this returns.
        """
        process = await asyncio.create_subprocess_exec(
            *self.command,
            media_type,
            self.limits.to_json(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # might quote the document
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self.deadline_s):
                output = await _exchange(process, data)
                status = await process.wait()
        except TimeoutError:
            raise ParserTimedOut("the parser did not end in time") from None
        finally:
            await kill(process, group=True)
        if status != 0:
            _log.warning("parser ended early", status=status)
            raise Unreadable(TOO_COMPLICATED)
        return _answer(output)


async def _exchange(process: asyncio.subprocess.Process, data: bytes) -> bytes:
    """Write the document while reading the answer; an answer that is too long is cut off, and fails as JSON."""
    assert process.stdin is not None and process.stdout is not None

    async def send(stdin: asyncio.StreamWriter) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(data)
            await stdin.drain()
        stdin.close()

    sending = asyncio.create_task(send(process.stdin))
    try:
        output = bytearray()
        while part := await process.stdout.read(65536):
            output += part
            if len(output) > MAX_OUTPUT:
                raise Unreadable(TOO_COMPLICATED)
        return bytes(output)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


def _answer(output: bytes) -> list[Block]:
    try:
        answer = json.loads(output)
        if isinstance(answer, dict) and isinstance(answer.get("unreadable"), str):
            raise Unreadable(answer["unreadable"][:MAX_REASON])
        return from_json(answer["blocks"])
    except (ValueError, KeyError, TypeError):
        raise Unreadable(TOO_COMPLICATED) from None
