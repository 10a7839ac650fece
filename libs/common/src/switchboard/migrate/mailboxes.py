"""SQL of the outbox, the inbox and the kept answers, the same in every schema."""

from __future__ import annotations

from switchboard.migrate.schemas import schema_named
from switchboard.migrate.statements import LOCKED_SEARCH_PATH, definer_function, tenant_table

_OUTBOX = """
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
"""

# One relay at a time (the lock ends with its transaction), or two would take neighbouring rows of one key and turn their
# order round. SKIP LOCKED only keeps it from waiting for somebody's manual repair.
_CLAIM = """
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

_SETTLE = """
BEGIN
  UPDATE {schema}.outbox SET sent_at = clock_timestamp(), attempts = attempts + 1 WHERE seq = ANY (p_sent);
  UPDATE {schema}.outbox SET attempts = attempts + 1,
    next_attempt_at = clock_timestamp() + LEAST(p_most, p_first * power(2, LEAST(attempts, 20)))
  WHERE seq = ANY (p_failed);
END"""

# By when they were sent, not by when they were written: a row may have waited longer than what was lost.
_REQUEUE = """
DECLARE touched bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('{schema}.outbox', 0));
  UPDATE {schema}.outbox SET sent_at = NULL, attempts = 0, next_attempt_at = clock_timestamp()
  WHERE sent_at >= p_since;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""

_PRUNE_OUTBOX = """
DECLARE touched bigint;
BEGIN
  DELETE FROM {schema}.outbox WHERE sent_at < clock_timestamp() - p_keep;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""

_BACKLOG = """
BEGIN
  RETURN QUERY SELECT count(*), COALESCE(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0)::float8
    FROM {schema}.outbox AS o WHERE o.sent_at IS NULL;
END"""

_INBOX = """
CREATE TABLE {schema}.inbox (
  tenant_id uuid NOT NULL,
  consumer text NOT NULL,
  message_id uuid NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, consumer, message_id)
);
CREATE INDEX inbox_received ON {schema}.inbox (received_at);
GRANT SELECT, DELETE ON {schema}.inbox TO {definer};
"""

_PRUNE_INBOX = """
DECLARE touched bigint;
BEGIN
  DELETE FROM {schema}.inbox WHERE received_at < clock_timestamp() - p_keep;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""

_REPEATS = """
CREATE TABLE {schema}.repeats (
  tenant_id uuid NOT NULL,
  key bytea NOT NULL CHECK (length(key) = 32),
  request bytea NOT NULL CHECK (length(request) = 32),
  answer bytea NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX repeats_created ON {schema}.repeats (created_at);
GRANT SELECT, DELETE ON {schema}.repeats TO {definer};
"""

_PRUNE_REPEATS = """
DECLARE touched bigint;
BEGIN
  DELETE FROM {schema}.repeats WHERE created_at <= p_before;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END"""

# (name and parameters, result, name and argument types, body)
_OUTBOX_FUNCTIONS = (
    (
        "outbox_claim(p_limit integer)",
        "TABLE (seq bigint, id uuid, subject text, key text, payload bytea, headers jsonb)",
        "outbox_claim(integer)",
        _CLAIM,
    ),
    (
        "outbox_settle(p_sent bigint[], p_failed bigint[], p_first interval, p_most interval)",
        "void",
        "outbox_settle(bigint[], bigint[], interval, interval)",
        _SETTLE,
    ),
    ("outbox_requeue(p_since timestamptz)", "bigint", "outbox_requeue(timestamptz)", _REQUEUE),
    ("outbox_prune(p_keep interval)", "bigint", "outbox_prune(interval)", _PRUNE_OUTBOX),
    ("outbox_backlog()", "TABLE (waiting bigint, oldest_s float8)", "outbox_backlog()", _BACKLOG),
)


def outbox_sql(schema: str) -> str:
    """Table and functions of :mod:`switchboard.outbox`."""
    functions = "".join(_function(schema, *parts) for parts in _OUTBOX_FUNCTIONS)
    return _filled(_OUTBOX, schema) + tenant_table(schema, "outbox", grants="SELECT, INSERT") + functions


def inbox_sql(schema: str) -> str:
    """Table and function of :mod:`switchboard.inbox`."""
    prune = _function(schema, "inbox_prune(p_keep interval)", "bigint", "inbox_prune(interval)", _PRUNE_INBOX)
    return _filled(_INBOX, schema) + tenant_table(schema, "inbox", grants="SELECT, INSERT") + prune


def repeats_sql(schema: str) -> str:
    """Table and function of :mod:`switchboard.repeats`. The answers are sealed with the tenant's data key."""
    prune = _function(
        schema, "repeats_prune(p_before timestamptz)", "bigint", "repeats_prune(timestamptz)", _PRUNE_REPEATS
    )
    return _filled(_REPEATS, schema) + tenant_table(schema, "repeats", grants="SELECT, INSERT, UPDATE") + prune


def requeue_by_sending_time(schema: str) -> str:
    """For databases whose ``outbox_requeue`` still went by the time of writing."""
    head, result, signature, body = next(parts for parts in _OUTBOX_FUNCTIONS if parts[0].startswith("outbox_requeue"))
    return f"DROP FUNCTION {schema}.{signature};" + _function(schema, head, result, signature, body)


def _function(schema: str, head: str, result: str, signature: str, body: str) -> str:
    return f"""
CREATE FUNCTION {schema}.{head} RETURNS {result}
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = {LOCKED_SEARCH_PATH} AS $body$
{_filled(body, schema)}
$body$;
{definer_function(schema, signature)}"""


def _filled(template: str, schema: str) -> str:
    return template.format(schema=schema, definer=schema_named(schema).definer)
