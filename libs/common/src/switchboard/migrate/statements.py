"""SQL that every schema shares: isolation of a tenant's table, narrow look-ups, outbox, inbox."""

from __future__ import annotations

from switchboard.migrate.schemas import OPS, schema_named

TENANT_PREDICATE = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"
"""After a transaction the setting is '' and not NULL, and ''::uuid is an error; with NULLIF no tenant means no rows."""

POLICY = "tenant_isolation"
LOCKED_SEARCH_PATH = "pg_catalog, pg_temp"


def tenant_table(schema: str, table: str, *, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> str:
    """SQL that isolates ``schema.table`` by its ``tenant_id`` and lets the service use it; goes after CREATE TABLE.

    ``grants`` may be less (an audit log: ``SELECT, INSERT``), never TRUNCATE or REFERENCES, which pass by the policy.
    """
    name = f"{schema}.{table}"
    return f"""
ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {name} FORCE ROW LEVEL SECURITY;
CREATE POLICY {POLICY} ON {name} FOR ALL TO PUBLIC USING ({TENANT_PREDICATE}) WITH CHECK ({TENANT_PREDICATE});
{platform_table(schema, table, grants=grants)}"""


def platform_table(schema: str, table: str, *, grants: str = "SELECT, INSERT, UPDATE, DELETE") -> str:
    """SQL that lets the service use ``schema.table``, which has no tenant (and no ``tenant_id`` column)."""
    name = f"{schema}.{table}"
    return f"""
REVOKE ALL ON {name} FROM PUBLIC;
GRANT {grants} ON {name} TO {schema_named(schema).service};
GRANT SELECT ON {name} TO {OPS};
"""


def definer_function(schema: str, signature: str) -> str:
    """SQL that makes ``schema.signature`` a narrow look-up across tenants; goes after CREATE FUNCTION.

    ``signature`` is name and argument types, ``session_tenant(bytea)``. The function must be written
    ``SECURITY DEFINER SET search_path = pg_catalog, pg_temp`` with every name qualified. It runs as the schema's
    definer role, which row-level security doesn't bind and which has no right but those a migration grants it by table
    and column (``GRANT SELECT (tenant_id, token_hash) ON tenancy.sessions TO tenancy_definer``). To change one later,
    drop and create it: the owner of the schema may drop it, but not replace it.
    """
    roles = schema_named(schema)
    name = f"{schema}.{signature}"
    return f"""
GRANT CREATE ON SCHEMA {schema} TO {roles.definer};
ALTER FUNCTION {name} OWNER TO {roles.definer};
REVOKE CREATE ON SCHEMA {schema} FROM {roles.definer};
SET LOCAL ROLE {roles.definer};
REVOKE ALL ON FUNCTION {name} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {name} TO {roles.service};
SET LOCAL ROLE {roles.owner};
"""


def _definer(schema: str, head: str, signature: str, body: str) -> str:
    return f"""
CREATE FUNCTION {schema}.{head}
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = {LOCKED_SEARCH_PATH} AS $body$
{body}
$body$;
{definer_function(schema, signature)}"""


def outbox_sql(schema: str) -> str:
    """Table and functions of :mod:`switchboard.outbox`."""
    # One relay at a time (the lock ends with its transaction), or two would take neighbouring rows of one key and turn
    # their order round. SKIP LOCKED only keeps it from waiting for somebody's manual repair.
    claim = f"""
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('{schema}.outbox', 0)) THEN
    RETURN;
  END IF;
  RETURN QUERY
    SELECT o.seq, o.id, o.subject, o.key, o.payload, o.headers
    FROM {schema}.outbox AS o
    WHERE o.sent_at IS NULL AND NOT EXISTS (
      SELECT 1 FROM {schema}.outbox AS earlier
      WHERE earlier.key = o.key AND earlier.sent_at IS NULL AND earlier.seq <= o.seq
        AND earlier.next_attempt_at > clock_timestamp())
    ORDER BY o.seq LIMIT p_limit FOR UPDATE OF o SKIP LOCKED;
END"""
    settle = f"""
BEGIN
  UPDATE {schema}.outbox SET sent_at = clock_timestamp(), attempts = attempts + 1 WHERE seq = ANY (p_sent);
  UPDATE {schema}.outbox SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + LEAST(p_most, p_first * power(2, LEAST(attempts, 20)))
  WHERE seq = ANY (p_failed);
END"""
    requeue = f"""
DECLARE touched bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('{schema}.outbox', 0));
  UPDATE {schema}.outbox SET sent_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
  WHERE created_at >= p_since AND sent_at IS NOT NULL;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""
    prune = f"""
DECLARE touched bigint;
BEGIN
  DELETE FROM {schema}.outbox WHERE sent_at < clock_timestamp() - p_keep;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""
    backlog = f"""
BEGIN
  RETURN QUERY SELECT count(*), COALESCE(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0)::float8
    FROM {schema}.outbox AS o WHERE o.sent_at IS NULL;
END"""
    definer = schema_named(schema).definer
    columns = "seq bigint, id uuid, subject text, key text, payload bytea, headers jsonb"
    return "".join(
        (
            f"""
CREATE TABLE {schema}.outbox (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  subject text NOT NULL,
  key text NOT NULL,
  payload bytea NOT NULL,
  headers jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX outbox_by_seq ON {schema}.outbox (seq);
CREATE INDEX outbox_waiting ON {schema}.outbox (key, seq) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON {schema}.outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_created ON {schema}.outbox (created_at);
GRANT SELECT, UPDATE, DELETE ON {schema}.outbox TO {definer};
""",
            tenant_table(schema, "outbox", grants="SELECT, INSERT"),
            _definer(
                schema, f"outbox_claim(p_limit integer) RETURNS TABLE ({columns})", "outbox_claim(integer)", claim
            ),
            _definer(
                schema,
                "outbox_settle(p_sent bigint[], p_failed bigint[], p_first interval, p_most interval) RETURNS void",
                "outbox_settle(bigint[], bigint[], interval, interval)",
                settle,
            ),
            _definer(
                schema, "outbox_requeue(p_since timestamptz) RETURNS bigint", "outbox_requeue(timestamptz)", requeue
            ),
            _definer(schema, "outbox_prune(p_keep interval) RETURNS bigint", "outbox_prune(interval)", prune),
            _definer(
                schema,
                "outbox_backlog() RETURNS TABLE (waiting bigint, oldest_s float8)",
                "outbox_backlog()",
                backlog,
            ),
        )
    )


def inbox_sql(schema: str) -> str:
    """Table and function of :mod:`switchboard.inbox`."""
    prune = f"""
DECLARE touched bigint;
BEGIN
  DELETE FROM {schema}.inbox WHERE received_at < clock_timestamp() - p_keep;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""
    return f"""
CREATE TABLE {schema}.inbox (
  tenant_id uuid NOT NULL,
  consumer text NOT NULL,
  message_id uuid NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, consumer, message_id)
);
CREATE INDEX inbox_received ON {schema}.inbox (received_at);
GRANT SELECT, DELETE ON {schema}.inbox TO {schema_named(schema).definer};
{tenant_table(schema, "inbox", grants="SELECT, INSERT")}
{_definer(schema, "inbox_prune(p_keep interval) RETURNS bigint", "inbox_prune(interval)", prune)}"""
