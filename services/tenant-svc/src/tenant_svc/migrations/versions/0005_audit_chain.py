"""The audit as a chain per tenant, and where each chain has got to. Lines of before stay until their tenant's chain begins.

``audit_log`` takes the place of ``audit``, into which services of before still write while they are replaced.
"""

from __future__ import annotations

from switchboard.migrate import definer_function, sql, tenant_table

revision = "0005"
down_revision = "0004"

# before and after are text and not jsonb: the hash is over exactly these characters.
TABLES = """
CREATE TABLE tenancy.audit_log (
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 1),
  id uuid NOT NULL,
  at timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id text NOT NULL,
  actor_roles text[] NOT NULL,
  action text NOT NULL,
  resource_kind text NOT NULL,
  resource_id text NOT NULL,
  service text NOT NULL,
  ip text NOT NULL,
  user_agent text NOT NULL,
  request_id text NOT NULL,
  trace_id text NOT NULL,
  state_before text,
  state_after text,
  prev_hash bytea NOT NULL CHECK (length(prev_hash) = 32),
  hash bytea NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (tenant_id, seq),
  UNIQUE (tenant_id, id)
);

CREATE TABLE tenancy.audit_chains (
  tenant_id uuid PRIMARY KEY,
  key_wrapped bytea NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 0),
  hash bytea NOT NULL CHECK (length(hash) = 32)
);
"""

# Who has a chain, or should have one: a chain that somebody took away whole is looked for too.
AUDITED_TENANTS = """
GRANT SELECT (tenant_id) ON tenancy.audit_chains TO tenancy_definer;

CREATE FUNCTION tenancy.audited_tenants(p_after uuid, p_limit integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT t.tenant_id FROM tenancy.tenants AS t WHERE t.tenant_id > p_after
  UNION SELECT c.tenant_id FROM tenancy.audit_chains AS c WHERE c.tenant_id > p_after
  ORDER BY 1 LIMIT p_limit
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
    "audit_log",
    "audit_chains",
    "outbox",
    "inbox",
    "tenants",
)
ERASE_TENANT = (
    """
DROP FUNCTION tenancy.erase_tenant(uuid);
CREATE FUNCTION tenancy.erase_tenant(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE total bigint := 0; touched bigint;
BEGIN
  IF p_tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
    RAISE EXCEPTION 'only the tenant of the transaction can be erased';
  END IF;
  -- First, so that whoever projects or audits this tenant has finished, and nobody begins.
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


def upgrade() -> None:
    sql(TABLES)
    # A line is never changed or taken away by anything that this service could do; where the chain has got to is.
    sql(tenant_table("tenancy", "audit_log", grants="SELECT, INSERT"))
    sql(tenant_table("tenancy", "audit_chains", grants="SELECT, INSERT, UPDATE"))
    sql("GRANT SELECT (tenant_id), DELETE ON tenancy.audit_log, tenancy.audit_chains TO tenancy_definer;")
    sql(AUDITED_TENANTS + ERASE_TENANT)
    sql("".join(definer_function("tenancy", name) for name in ("audited_tenants(uuid, integer)", "erase_tenant(uuid)")))
