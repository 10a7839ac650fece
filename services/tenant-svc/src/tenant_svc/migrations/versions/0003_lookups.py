"""The narrow look-ups across tenants, each with no more rights than it needs."""

from __future__ import annotations

from switchboard.migrate import definer_function, sql

revision = "0003"
down_revision = "0002"

RIGHTS = """
GRANT SELECT (tenant_id, id, secret_sha256, roles, last_used_at, revoked_at) ON tenancy.api_keys TO tenancy_definer;
GRANT SELECT (trunk, number, carrier_account) ON tenancy.numbers TO tenancy_definer;
GRANT SELECT (tenant_id, name, status, published_version, media_cell, created_at) ON tenancy.tenants
  TO tenancy_definer;
GRANT SELECT (tenant_id, version, snapshot) ON tenancy.configurations TO tenancy_definer;
GRANT SELECT (tenant_id, wrapped) ON tenancy.data_keys TO tenancy_definer;
GRANT SELECT ON tenancy.trunks, tenancy.trunk_numbers TO tenancy_definer;
"""

API_KEY = """
CREATE FUNCTION tenancy.api_key(p_id uuid)
RETURNS TABLE (tenant_id uuid, secret_sha256 bytea, roles text[], last_used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT k.tenant_id, k.secret_sha256, k.roles, k.last_used_at
  FROM tenancy.api_keys AS k WHERE k.id = p_id AND k.revoked_at IS NULL
$body$;
"""

# A binding without a carrier account and one with an account exclude each other on one trunk: otherwise a second tenant
# could name the account that the first left out, and get its calls. The lock makes two that look at once take turns.
NUMBER_TAKEN = """
CREATE FUNCTION tenancy.number_taken(p_trunk text, p_number text, p_account text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('tenancy.number ' || p_trunk || ' ' || p_number, 0));
  RETURN EXISTS (
    SELECT 1 FROM tenancy.numbers AS n
    WHERE n.trunk = p_trunk AND n.number = p_number
      AND (n.carrier_account IS NULL OR p_account IS NULL OR n.carrier_account = p_account));
END
$body$;
"""

PUBLISHED_SNAPSHOTS = """
CREATE FUNCTION tenancy.published_snapshots(p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, version integer, snapshot jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT c.tenant_id, c.version, c.snapshot
  FROM tenancy.tenants AS t
  JOIN tenancy.configurations AS c ON c.tenant_id = t.tenant_id AND c.version = t.published_version
  WHERE t.tenant_id > p_after ORDER BY t.tenant_id LIMIT p_limit
$body$;
"""

WRAPPED_KEYS = """
CREATE FUNCTION tenancy.wrapped_keys(p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, wrapped bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT k.tenant_id, k.wrapped FROM tenancy.data_keys AS k
  WHERE k.tenant_id > p_after ORDER BY k.tenant_id LIMIT p_limit
$body$;
"""

TENANTS_OVERVIEW = """
CREATE FUNCTION tenancy.tenants_overview(p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, name text, status text, published_version integer, media_cell text,
               created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT t.tenant_id, t.name, t.status, t.published_version, t.media_cell, t.created_at
  FROM tenancy.tenants AS t WHERE t.tenant_id > p_after ORDER BY t.tenant_id LIMIT p_limit
$body$;
"""

TRUNKS_OF_CELL = """
CREATE FUNCTION tenancy.trunks_of_cell(p_cell text)
RETURNS TABLE (tenant_id uuid, id uuid, allowed_addresses text[], numbers text[], auth_username text,
               auth_password_sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT t.tenant_id, t.id, t.allowed_addresses,
    ARRAY(SELECT n.number FROM tenancy.trunk_numbers AS n
          WHERE n.tenant_id = t.tenant_id AND n.trunk_id = t.id ORDER BY n.number),
    t.auth_username, t.auth_password_sealed
  FROM tenancy.trunks AS t WHERE t.media_cell = p_cell ORDER BY t.tenant_id, t.id
$body$;
"""

# In the order of the foreign keys. Only for the tenant whose transaction it is called in.
_ERASED = (
    "numbers",
    "trunk_numbers",
    "trunks",
    "holidays",
    "locations",
    "configurations",
    "api_keys",
    "memberships",
    "users",
    "data_keys",
    "audit",
    "outbox",
    "inbox",
    "tenants",
)
ERASE_TENANT = (
    """
CREATE FUNCTION tenancy.erase_tenant(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE total bigint := 0; touched bigint;
BEGIN
  IF p_tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
    RAISE EXCEPTION 'only the tenant of the transaction can be erased';
  END IF;
  -- First, so that whoever projects this tenant has finished, and nobody begins.
  PERFORM 1 FROM tenancy.tenants WHERE tenant_id = p_tenant FOR UPDATE;
"""
    + "".join(
        f"""  DELETE FROM tenancy.{table} WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  total := total + touched;
"""
        for table in _ERASED
    )
    + """  RETURN total;
END
$body$;
"""
)

SIGNATURES = (
    "api_key(uuid)",
    "number_taken(text, text, text)",
    "published_snapshots(uuid, integer)",
    "wrapped_keys(uuid, integer)",
    "tenants_overview(uuid, integer)",
    "trunks_of_cell(text)",
    "erase_tenant(uuid)",
)


def upgrade() -> None:
    deletes = "".join(f"GRANT SELECT (tenant_id), DELETE ON tenancy.{table} TO tenancy_definer;\n" for table in _ERASED)
    # Row locks need the right to update; one column that never changes is enough.
    lock = "GRANT UPDATE (tenant_id) ON tenancy.tenants TO tenancy_definer;"
    sql(RIGHTS + deletes + lock)
    sql(API_KEY + NUMBER_TAKEN + PUBLISHED_SNAPSHOTS + WRAPPED_KEYS + TENANTS_OVERVIEW + TRUNKS_OF_CELL + ERASE_TENANT)
    sql("".join(definer_function("tenancy", signature) for signature in SIGNATURES))
