"""What people said, encrypted with the tenant's data key wherever it travels or rests outside PostgreSQL.

A contract field of type :class:`Sealed` is plain text in memory and ciphertext on the wire. Serialising a model that
holds one without a sealer, or reading one without an opener, is an error: there is no quiet way to send words in clear.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NONCE_BYTES = 12
_VERSION = b"\x01"


class SealError(ValueError):
    """The ciphertext is not for this tenant and purpose, or was changed, or its key has been destroyed."""


class Cipher(Protocol):
    """Seals and opens text under one tenant's key; ``purpose`` is bound as associated data."""

    def seal(self, plain: bytes, purpose: str) -> bytes: ...

    def open(self, sealed: bytes, purpose: str) -> bytes: ...


class DataKey:
    """A tenant's 256-bit data key (AES-GCM, random 96-bit nonce, tenant and purpose as associated data)."""

    def __init__(self, key: bytes, owner: str, entropy: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != 32:
            raise ValueError("a data key has 32 bytes")
        self._aead = AESGCM(key)
        self._owner = owner
        self._entropy = entropy

    def _context(self, purpose: str) -> bytes:
        return f"switchboard|{self._owner}|{purpose}".encode()

    def seal(self, plain: bytes, purpose: str) -> bytes:
        nonce = self._entropy(_NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, plain, self._context(purpose))

    def open(self, sealed: bytes, purpose: str) -> bytes:
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + 16:
            raise SealError("not a sealed value of a version we know")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, self._context(purpose))
        except InvalidTag:
            raise SealError("this value can't be opened here: other tenant, other purpose, or changed") from None


class DataKeys:
    """Several keys of one owner: the first seals, each of them opens. While a key is being replaced there are two."""

    def __init__(self, keys: Sequence[DataKey]) -> None:
        if not keys:
            raise ValueError("there must be a key to seal with")
        self._keys = tuple(keys)

    def seal(self, plain: bytes, purpose: str) -> bytes:
        return self._keys[0].seal(plain, purpose)

    def open(self, sealed: bytes, purpose: str) -> bytes:
        for key in self._keys[:-1]:
            try:
                return key.open(sealed, purpose)
            except SealError:
                continue
        return self._keys[-1].open(sealed, purpose)

    def current(self, sealed: bytes, purpose: str) -> bool:
        """Whether ``sealed`` was sealed with the key that seals today."""
        try:
            self._keys[0].open(sealed, purpose)
        except SealError:
            return False
        return True


class SealContext:
    """What pydantic is given as ``context``: the cipher and the purpose (the contract's name)."""

    __slots__ = ("cipher", "purpose")

    def __init__(self, cipher: Cipher, purpose: str) -> None:
        self.cipher = cipher
        self.purpose = purpose


class Sealed(str):
    """Text that is encrypted on the wire. Its ``repr`` hides it, so that a logged model says nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Sealed(<{len(self)} characters>)"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _read,
            serialization=core_schema.plain_serializer_function_ser_schema(_write, info_arg=True, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"sealed": {"type": "string", "contentEncoding": "base64"}},
            "required": ["sealed"],
            "x-sealed": True,
        }


def _read(value: Any, info: core_schema.ValidationInfo) -> Sealed:
    if info.mode == "python" and isinstance(value, str):
        return Sealed(value)
    if not isinstance(value, dict) or set(value) != {"sealed"} or not isinstance(value["sealed"], str):
        raise ValueError("expected a sealed value; clear text is not taken from the wire")
    context = info.context
    if not isinstance(context, SealContext):
        raise ValueError("a sealed value can't be read without its tenant's key")
    raw = base64.b64decode(value["sealed"], validate=True)
    return Sealed(context.cipher.open(raw, context.purpose).decode())


def _write(value: str, info: core_schema.SerializationInfo) -> dict[str, str]:
    context = info.context
    if not isinstance(context, SealContext):
        raise ValueError("a sealed value can't be written without its tenant's key")
    return {"sealed": base64.b64encode(context.cipher.seal(value.encode(), context.purpose)).decode()}
