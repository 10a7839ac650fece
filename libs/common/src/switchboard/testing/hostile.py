"""Text that stands where an id is expected: for subjects, paths, keys and names of rooms."""

from __future__ import annotations

_ID = "019a9b6c1d2e7f308a4b5c6d7e8f9a0b"
_DASHED = "019a9b6c-1d2e-7f30-8a4b-5c6d7e8f9a0b"

_SUBJECTS = (
    "*",
    ">",
    ".",
    "..",
    "a.b",
    "a.*",
    "a.>",
    f"{_ID}.>",
    f"*.{_ID}",
    f"{_ID}.{_ID}",
    "_ ",
    "__",
    "$SYS",
    "$JS.API.>",
)
_COMMANDS = (
    "x\r\nPUB evil 1\r\nz",
    f"{_ID}\r\nPING",
    f"{_ID}\n",
    f"{_ID}\r",
    f"\n{_ID}",
    "x\r\nSET k v\r\n",
    "*3\r\n$3\r\nSET\r\n",
    f"{_ID}\r\nx-injected: 1",
    "{" + _ID + "}",
    "x]*[y",
    "[a-z]*",
    "?" * 32,
)
_LENGTHS = (
    " ",
    "0",
    "0" * 31,
    "0" * 33,
    "0" * 31 + "\n",
    "0" * 32 + " ",
    " " + "0" * 32,
    "x" * 300,
    "0" * 4000,
    _ID[:-1],
    _ID + "0",
)
_LETTERS = (
    "g" * 32,
    "٠" * 32,
    "ｆ" * 32,
    "\x00" * 32,
    _ID[:-1] + "\x00",
    _ID[:-1] + "g",
    _ID[:-1] + "٠",
    _ID[:-1] + "\u200b",
    "\u202e" + _ID[:-1],
    _ID[:-1] + "é",
    "+" + _ID[:-1],
    "-" + _ID[:-1],
    "0x" + _ID[:-2],
    _ID[:16] + "_" + _ID[17:],
)
_UUIDS = (
    "{" + _DASHED + "}",
    "urn:uuid:" + _DASHED,
    _DASHED.replace("-", "--"),
    _DASHED[:-1] + "g",
    _DASHED + "-",
    "-" + _DASHED,
    _DASHED[:8] + _DASHED[9:],
)
_OTHERS = (
    "../" + _ID,
    "..%2f" + _ID,
    _ID + "/../../tenant",
    _ID + "?tenant_id=" + _ID,
    _ID + "#x",
    _ID + ";x",
    "' OR true --",
    "1); DROP TABLE calls.calls; --",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>",
    "%00",
    "null",
    "true",
    "[]",
)

HOSTILE_IDS = (*_SUBJECTS, *_COMMANDS, *_LENGTHS, *_LETTERS, *_UUIDS, *_OTHERS)
"""None of them is an id, on the bus or in a path. The empty text is not among them: a path that ends so is another one."""
