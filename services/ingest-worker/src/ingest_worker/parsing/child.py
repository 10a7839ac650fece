"""The parser's process: limits itself, reads the document from standard input, writes blocks to standard output.

``python -m ingest_worker.parsing.child MEDIA_TYPE LIMITS_AS_JSON``. It is started for one document and reads no byte of it
before it can no longer open a file or a socket, has given up its user, and stands in an empty network namespace where the
kernel grants one. Everything it needs is imported before that.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass

from ingest_worker.parsing.blocks import Block, to_json
from ingest_worker.parsing.pdf import parse_pdf
from ingest_worker.parsing.problems import TOO_COMPLICATED, Unreadable
from ingest_worker.parsing.text import parse_text

_NEW_NETWORK = 0x40000000
_NEW_USER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Limits:
    """What one parse may take. Memory is address space: pdfium and Python begin at about 150 MiB of it."""

    cpu_s: int = 20
    memory_bytes: int = 768 * 1024 * 1024
    max_pages: int = 200

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def confine(limits: Limits) -> None:
    """No file, no socket, no other process, no more than ``limits`` from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)  # without root; where this is refused as well, the next limit holds
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the change of user, which clears it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    # Standard input, output and error are open; a fourth descriptor can't be had, be it a file or a socket.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def parse(media_type: str, data: bytes, limits: Limits) -> list[Block]:
    if media_type == "application/pdf":
        return parse_pdf(data, limits.max_pages)
    return parse_text(data)


def main() -> int:
    media_type, limits = sys.argv[1], Limits(**json.loads(sys.argv[2]))
    confine(limits)
    try:
        answer: dict[str, object] = {"blocks": to_json(parse(media_type, sys.stdin.buffer.read(), limits))}
    except Unreadable as error:
        answer = {"unreadable": str(error)}
    except (MemoryError, RecursionError):
        answer = {"unreadable": TOO_COMPLICATED}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
