"""A tenant's credentials in PostgreSQL: encrypted with its data key, bound to the very place where they rest.

Tenant, table, column and row are associated data, so a ciphertext that was moved to another row, column, table or tenant
opens nowhere. The database's column is called ``<name>_sealed`` and is ``bytea``; ``tests/integration/test_credentials.py``
finds those that no rotation knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from switchboard.ids import token
from switchboard.sealed import Cipher, DataKeys


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """``table`` with its schema; ``name`` without ``_sealed``. The tenant is in the cipher."""

    table: str
    name: str

    @property
    def full(self) -> str:
        """``schema.table.column`` as the database names it."""
        return f"{self.table}.{self.name}_sealed"

    def seal(self, cipher: Cipher, row: UUID, value: str) -> bytes:
        return cipher.seal(value.encode(), self._place(row))

    def open(self, cipher: Cipher, row: UUID, sealed: bytes) -> str:
        """:class:`switchboard.sealed.SealError` when ``sealed`` was not sealed for this place."""
        return cipher.open(sealed, self._place(row)).decode()

    def resealed(self, keys: DataKeys, row: UUID, sealed: bytes) -> bytes | None:
        """The same under the key that seals today; ``None`` when it is already."""
        if keys.current(sealed, self._place(row)):
            return None
        return self.seal(keys, row, self.open(keys, row, sealed))

    def _place(self, row: UUID) -> str:
        return f"{self.table}|{token(row)}|{self.name}"
