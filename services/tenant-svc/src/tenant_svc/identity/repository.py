"""Accounts, links and sessions in PostgreSQL. They belong to no tenant; what a session's tenant is does."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

_ACCOUNT = "SELECT id, email, password_hash, totp_secret_sealed, totp_confirmed_at, totp_step, disabled_at, support"
SELECT_BY_EMAIL = f"{_ACCOUNT} FROM tenancy.accounts WHERE lower(email) = lower($1)"
SELECT_ACCOUNT = f"{_ACCOUNT} FROM tenancy.accounts WHERE id = $1 AND disabled_at IS NULL"
LOCK_ACCOUNT = f"{_ACCOUNT} FROM tenancy.accounts WHERE id = $1 AND disabled_at IS NULL FOR UPDATE"
INSERT_ACCOUNT = """
INSERT INTO tenancy.accounts (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (lower(email)) DO NOTHING
"""
UPDATE_HASH = "UPDATE tenancy.accounts SET password_hash = $2 WHERE id = $1"
SET_SUPPORT = "UPDATE tenancy.accounts SET support = $2 WHERE lower(email) = lower($1) RETURNING id"
SET_DISABLED = "UPDATE tenancy.accounts SET disabled_at = $2 WHERE lower(email) = lower($1) RETURNING id"

SET_TOTP = """
UPDATE tenancy.accounts SET totp_secret_sealed = $2, totp_confirmed_at = NULL, totp_step = 0 WHERE id = $1
"""
CONFIRM_TOTP = "UPDATE tenancy.accounts SET totp_confirmed_at = $2, totp_step = $3 WHERE id = $1"
CLEAR_TOTP = """
UPDATE tenancy.accounts SET totp_secret_sealed = NULL, totp_confirmed_at = NULL, totp_step = 0 WHERE id = $1
"""
USE_TOTP_STEP = "UPDATE tenancy.accounts SET totp_step = $2 WHERE id = $1 AND totp_step < $2 RETURNING true"
LOCK_SEALED = """
SELECT id, totp_secret_sealed FROM tenancy.accounts WHERE totp_secret_sealed IS NOT NULL ORDER BY id FOR UPDATE
"""
RESEAL = "UPDATE tenancy.accounts SET totp_secret_sealed = $2 WHERE id = $1"

INSERT_CODE = "INSERT INTO tenancy.recovery_codes (account_id, code_sha256) VALUES ($1, $2)"
USE_CODE = "DELETE FROM tenancy.recovery_codes WHERE account_id = $1 AND code_sha256 = $2 RETURNING true"
DELETE_CODES = "DELETE FROM tenancy.recovery_codes WHERE account_id = $1"
COUNT_CODES = "SELECT count(*) FROM tenancy.recovery_codes WHERE account_id = $1"

INSERT_LINK = """
INSERT INTO tenancy.links
  (id, purpose, secret_sha256, browser_sha256, email, password_hash, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
COUNT_LINKS = "SELECT count(*) FROM tenancy.links WHERE lower(email) = lower($1) AND created_at > $2"
# One statement decides who was first: whoever comes later waits for the row and finds it used.
USE_LINK = """
UPDATE tenancy.links SET used_at = $4
WHERE id = $1 AND secret_sha256 = $2 AND browser_sha256 = $3 AND used_at IS NULL AND expires_at > $4
  AND purpose <> 'nothing'
RETURNING purpose, email, password_hash
"""
PRUNE_LINKS = "DELETE FROM tenancy.links WHERE expires_at < $1"

INSERT_SESSION = """
INSERT INTO tenancy.sessions
  (id, token_sha256, account_id, stage, created_at, last_seen_at, expires_at, ip, user_agent)
VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8)
"""
# By the narrow look-up: the tenant is not known before.
SELECT_SESSION = """
SELECT id, account_id, stage, last_seen_at, expires_at, tenant_id, role, suspended FROM tenancy.session($1, $2)
"""
SELECT_OPEN_SESSION = """
SELECT id, expires_at FROM tenancy.sessions
WHERE id = $1 AND account_id = $2 AND stage = 'full' AND ended_at IS NULL FOR UPDATE
"""
# The attempt counts also when what follows fails: it is committed before the code is looked at.
COUNT_ATTEMPT = """
UPDATE tenancy.sessions SET attempts = attempts + 1
WHERE token_sha256 = $1 AND stage = 'second_factor' AND ended_at IS NULL AND expires_at > $2 AND attempts < $3
RETURNING id, account_id
"""
COUNT_OWN_ATTEMPT = """
UPDATE tenancy.sessions SET attempts = attempts + 1
WHERE id = $1 AND account_id = $2 AND stage = 'full' AND ended_at IS NULL AND attempts < $3 RETURNING true
"""
SUM_ATTEMPTS = """
SELECT COALESCE(sum(attempts), 0) FROM tenancy.sessions
WHERE account_id = $1 AND stage = 'second_factor' AND created_at > $2
"""
TOUCH_SESSION = "UPDATE tenancy.sessions SET last_seen_at = $2 WHERE id = $1"
SELECT_SESSIONS = """
SELECT id AS session_id, created_at, last_seen_at, expires_at, ip, user_agent FROM tenancy.sessions
WHERE account_id = $1 AND stage = 'full' AND ended_at IS NULL AND expires_at > $2 AND last_seen_at > $3 ORDER BY id DESC
LIMIT 100
"""
END_SESSION = """
UPDATE tenancy.sessions SET ended_at = $3 WHERE id = $1 AND account_id = $2 AND ended_at IS NULL RETURNING true
"""
END_SESSIONS = "UPDATE tenancy.sessions SET ended_at = $2 WHERE account_id = $1 AND ended_at IS NULL"
PRUNE_SESSIONS = "DELETE FROM tenancy.sessions WHERE expires_at < $1 OR ended_at < $1"

INSERT_SESSION_TENANT = f"""
INSERT INTO tenancy.session_tenants (tenant_id, session_id, chosen_at) VALUES ({_TENANT}, $1, $2)
"""
SELECT_TENANTS = "SELECT tenant_id, name, role FROM tenancy.tenants_of($1, $2)"
SELECT_ROLE = "SELECT role FROM tenancy.members WHERE account_id = $1"
INSERT_MEMBER = f"""
INSERT INTO tenancy.members (tenant_id, account_id, role, created_at) VALUES ({_TENANT}, $1, $2, $3)
"""
