from __future__ import annotations

import contextlib
import os
import sys
import zlib
from pathlib import Path

import pytest
from ingest_worker.parsing.blocks import Paragraph
from ingest_worker.parsing.child import Limits
from ingest_worker.parsing.problems import TOO_COMPLICATED, Unreadable
from ingest_worker.parsing.sandbox import Parser, ParserTimedOut

pytestmark = pytest.mark.integration

CONFINED = (
    "import ctypes, json, os, signal, socket, sys, time\n"
    "from ingest_worker.parsing.child import Limits, confine\n"
    "confine(Limits(**json.loads(sys.argv[2])))\n"
)
SAY = "print(json.dumps({'blocks': [['paragraph', %s]]}))"


def running(body: str, *, cpu_s: int = 5, deadline_s: float = 30.0) -> Parser:
    """A parser whose process confines itself like the real one and then does something else."""
    return Parser(Limits(cpu_s=cpu_s), deadline_s, (sys.executable, "-c", CONFINED + body))


def children() -> list[str]:
    """Command lines of the confined processes that this one has started and that still run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            _, _, status = (folder / "stat").read_text().rpartition(") ")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if status.split()[1] == str(os.getpid()) and "confine(" in command:
                found.append(command)
    return found


async def said(body: str) -> str:
    blocks = await running(body).parse("text/plain", b"")
    assert isinstance(blocks[0], Paragraph)
    return blocks[0].text


@pytest.mark.parametrize(
    "body",
    [
        "hog = bytearray(2 << 30)",
        "ctypes.string_at(0)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "print('not json')",
        "print(json.dumps({'blocks': [['table', None, 5]]}))",
        "print(json.dumps([]))",
        "while True: print('x' * 1000000)",
    ],
    ids=[
        "memory",
        "crash",
        "killed",
        "no answer",
        "wrong answer",
        "other answer",
        "flood",
    ],
)
async def test_a_process_that_goes_wrong_is_the_documents_fault_and_is_gone(body: str) -> None:
    with pytest.raises(Unreadable, match=TOO_COMPLICATED):
        await running(body).parse("text/plain", b"x" * 100_000)
    assert children() == []


async def test_a_process_that_only_computes_is_stopped_by_its_cpu_limit() -> None:
    with pytest.raises(Unreadable):
        await running("while True: pass", cpu_s=1).parse("text/plain", b"")
    assert children() == []


async def test_a_process_that_never_answers_is_killed_at_the_deadline() -> None:
    with pytest.raises(ParserTimedOut):
        await running("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", deadline_s=3).parse(
            "text/plain", b"x" * 1_000_000
        )
    assert children() == []


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/hostname')",
        "open('/proc/self/environ')",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.fork()",
        "bytearray(1 << 30)",
        "[bytearray(1 << 20) for _ in range(1000)]",
        "os.kill(os.getppid(), 0)" if os.geteuid() == 0 else "os.pipe()",
    ],
)
async def test_the_parser_reaches_nothing(attempt: str) -> None:
    body = f"""
try:
    {attempt}
    outcome = 'done'
except (OSError, MemoryError):
    outcome = 'refused'
{SAY % "outcome"}
"""
    assert await said(body) == "refused"


async def test_the_parser_is_told_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWITCHBOARD_SEALING__MASTER_KEY", "secret")

    assert "SWITCHBOARD" not in await said(SAY % "' '.join(os.environ)")


async def test_the_parser_gives_up_root() -> None:
    assert await said(SAY % "str(os.geteuid())") == str(65534 if os.geteuid() == 0 else os.geteuid())


async def test_a_pdf_that_unpacks_to_a_thousand_times_its_size_ends_in_time() -> None:
    packed = zlib.compress(b"BT /F1 12 Tf (x) Tj ET " * 10_000_000, 9)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (at, one) for at, one in enumerate(objects, 1))
    bomb = body + b"trailer << /Root 1 0 R /Size 6 >>\n%%EOF"

    with pytest.raises(Unreadable, match=TOO_COMPLICATED):
        await Parser(Limits(cpu_s=3), 60).parse("application/pdf", bomb)
