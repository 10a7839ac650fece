"""Members, invitations and support in PostgreSQL."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

_MEMBER = """
SELECT m.account_id AS user_id, a.email, m.role, a.totp_confirmed_at IS NOT NULL AS second_factor, m.created_at AS since
FROM tenancy.members AS m JOIN tenancy.accounts AS a ON a.id = m.account_id
"""
SELECT_MEMBERS = f"{_MEMBER} ORDER BY m.created_at, m.account_id"
SELECT_MEMBER = f"{_MEMBER} WHERE m.account_id = $1"
COUNT_OWNERS = "SELECT count(*) FROM tenancy.members WHERE role = 'owner'"
COUNT_MEMBERS = "SELECT count(*) FROM tenancy.members"
UPDATE_ROLE = "UPDATE tenancy.members SET role = $2 WHERE account_id = $1"
DELETE_MEMBER = "DELETE FROM tenancy.members WHERE account_id = $1"
SELECT_BY_ADDRESS = f"{_MEMBER} WHERE lower(a.email) = lower($1)"

INSERT_INVITATION = f"""
INSERT INTO tenancy.invitations (tenant_id, id, email, role, secret_sha256, invited_by, created_at, expires_at)
VALUES ({_TENANT}, $1, $2, $3, $4, $5, $6, $7)
"""
SELECT_INVITATIONS = """
SELECT id AS invitation_id, email, role, invited_by, created_at, expires_at FROM tenancy.invitations
WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $1 ORDER BY id DESC
"""
SUPERSEDE_INVITATIONS = """
UPDATE tenancy.invitations SET revoked_at = $2
WHERE lower(email) = lower($1) AND accepted_at IS NULL AND revoked_at IS NULL
"""
REVOKE_INVITATION = """
UPDATE tenancy.invitations SET revoked_at = $2
WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL RETURNING email, role
"""
# One statement decides who was first.
USE_INVITATION = """
UPDATE tenancy.invitations SET accepted_at = $2
WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2 RETURNING role
"""
# Before the tenant is known, by the narrow look-up.
SELECT_INVITATION = "SELECT tenant_id, email, secret_sha256 FROM tenancy.invitation($1)"

INSERT_ACCESS = f"""
INSERT INTO tenancy.support_accesses (tenant_id, id, reason, consented_by, consented_at, expires_at)
VALUES ({_TENANT}, $1, $2, $3, $4, $5)
"""
SELECT_ACCESSES = """
SELECT id AS access_id, reason, consented_by, consented_at, expires_at, ended_at FROM tenancy.support_accesses
ORDER BY id DESC LIMIT 100
"""
END_ACCESS = """
UPDATE tenancy.support_accesses SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 RETURNING true
"""
SELECT_ACCESS_IN_FORCE = """
SELECT id FROM tenancy.support_accesses WHERE ended_at IS NULL AND expires_at > $1 ORDER BY expires_at DESC LIMIT 1
"""
