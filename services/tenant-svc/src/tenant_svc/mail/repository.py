"""Mail that waits to be sent, in PostgreSQL. What it says is sealed, and gone when it has been sent."""

from __future__ import annotations

INSERT_MAIL = """
INSERT INTO tenancy.mails (id, body_sealed, created_at, not_after, next_at) VALUES ($1, $2, $3, $4, $3)
"""
# Locked while it is being sent, so that of several copies one sends it.
CLAIM_MAIL = """
SELECT id, body_sealed, not_after, attempts FROM tenancy.mails
WHERE done_at IS NULL AND next_at <= $1 ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
SETTLE_MAIL = """
UPDATE tenancy.mails SET done_at = $2, outcome = $3, body_sealed = NULL, attempts = attempts + 1 WHERE id = $1
"""
POSTPONE_MAIL = "UPDATE tenancy.mails SET next_at = $2, attempts = attempts + 1 WHERE id = $1"
PRUNE_MAILS = "DELETE FROM tenancy.mails WHERE done_at < $1"

LOCK_SEALED = "SELECT id, body_sealed FROM tenancy.mails WHERE body_sealed IS NOT NULL ORDER BY id FOR UPDATE"
RESEAL = "UPDATE tenancy.mails SET body_sealed = $2 WHERE id = $1"
