"""The audit in PostgreSQL. The service may add lines and read them, and nothing else."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

# A share of the row's lock: an erasure waits for a line that is being written, and none is written after it.
LOCK_TENANT = "SELECT true FROM tenancy.tenants FOR KEY SHARE"

BEGIN_CHAIN = f"""
INSERT INTO tenancy.audit_chains (tenant_id, key_wrapped, seq, hash) VALUES ({_TENANT}, $1, 0, $2)
ON CONFLICT (tenant_id) DO NOTHING RETURNING true
"""
# Lines of one tenant follow one another; those of others have another row.
LOCK_CHAIN = "SELECT key_wrapped, seq, hash FROM tenancy.audit_chains FOR UPDATE"
SELECT_CHAIN = "SELECT key_wrapped, seq, hash FROM tenancy.audit_chains"
ADVANCE_CHAIN = "UPDATE tenancy.audit_chains SET seq = $1, hash = $2"

INSERT_LINE = f"""
INSERT INTO tenancy.audit_log (tenant_id, seq, id, at, actor_kind, actor_id, actor_roles, action, resource_kind,
  resource_id, service, ip, user_agent, request_id, trace_id, state_before, state_after, prev_hash, hash)
VALUES ({_TENANT}, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""
_LINE = """
SELECT tenant_id, seq, id, at, actor_kind, actor_id, actor_roles, action, resource_kind, resource_id, service, ip,
  user_agent, request_id, trace_id, state_before, state_after, prev_hash, hash FROM tenancy.audit_log
"""
SELECT_LINES = f"{_LINE} WHERE seq > $1 ORDER BY seq LIMIT $2"
SELECT_NEWEST = f"{_LINE} WHERE seq < $1 ORDER BY seq DESC LIMIT $2"
SELECT_HASH = "SELECT hash FROM tenancy.audit_log WHERE seq = $1"

# What services of before wrote into the table of before.
SELECT_EARLIER = "SELECT id, at, actor_kind, actor_id, action, subject FROM tenancy.audit ORDER BY at, id"

SELECT_AUDITED = "SELECT tenant_id FROM tenancy.audited_tenants($1, $2)"
