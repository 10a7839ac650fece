"""Calls, what happened in them, and what the fleet was told about them."""

from __future__ import annotations

from switchboard.migrate import definer_function, platform_table, sql, tenant_table

revision = "0002"
down_revision = "0001"

# degraded_id is what a process that could not reach this database calls the call of that room (switchboard.degraded), so
# that its facts find the row. room_sid is null only until a fact names it.
CALLS = """
CREATE TABLE calls.calls (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  room_sid text UNIQUE CHECK (length(room_sid) BETWEEN 1 AND 64),
  degraded_id uuid NOT NULL UNIQUE,
  room_name text,
  sip_call_id text,
  trunk text,
  carrier_account text,
  dialled text,
  caller text,
  job_id text,
  state text NOT NULL CHECK (state IN ('ringing', 'admitted', 'talking', 'holding', 'transferring', 'ended')),
  epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  claimed_at timestamptz,
  position_epoch bigint NOT NULL DEFAULT 0,
  position_seq bigint NOT NULL DEFAULT 0,
  lease_expires_at timestamptz,
  outcome text,
  decision jsonb,
  configuration_version integer,
  degraded boolean NOT NULL DEFAULT false,
  media_cell text NOT NULL DEFAULT 'default',
  started_at timestamptz NOT NULL,
  answered_at timestamptz,
  ended_at timestamptz,
  end_reason text,
  events bigint NOT NULL DEFAULT 0,
  turns integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id),
  CHECK ((state = 'ended') = (ended_at IS NOT NULL)),
  CHECK ((state = 'ended') = (end_reason IS NOT NULL))
);
CREATE INDEX calls_by_time ON calls.calls (tenant_id, started_at DESC, id DESC);
CREATE INDEX calls_live ON calls.calls (tenant_id) WHERE state <> 'ended';

CREATE FUNCTION calls.keep_the_end() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
  IF NEW.epoch < OLD.epoch THEN
    RAISE EXCEPTION 'the epoch of a call never falls' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.state = 'ended' AND (NEW.state, NEW.end_reason, NEW.ended_at)
      IS DISTINCT FROM (OLD.state, OLD.end_reason, OLD.ended_at) THEN
    RAISE EXCEPTION 'an ended call stays as it ended' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$body$;
CREATE TRIGGER keep_the_end BEFORE UPDATE ON calls.calls FOR EACH ROW EXECUTE FUNCTION calls.keep_the_end();
"""

# Append-only: the service may add to it and read it. (call_id, epoch, seq, source) is what makes a fact that comes again
# under another message id, as a replayed dead letter does, one event.
CALL_EVENTS = """
CREATE TABLE calls.call_events (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  source text NOT NULL CHECK (source IN ('admission', 'agent', 'livekit', 'reaper', 'operator')),
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL,
  verdict text NOT NULL,
  state text NOT NULL,
  at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, call_id, epoch, seq, source),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls.calls (tenant_id, id)
);
"""

TURNS = """
CREATE TABLE calls.turns (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  epoch bigint NOT NULL,
  turn integer NOT NULL CHECK (turn >= 0),
  seq bigint NOT NULL,
  kind text NOT NULL,
  at timestamptz NOT NULL,
  caller_said jsonb NOT NULL,
  agent_said text NOT NULL,
  agent_heard text NOT NULL,
  interrupted boolean NOT NULL,
  passages jsonb NOT NULL,
  receipts jsonb NOT NULL,
  timings jsonb NOT NULL,
  PRIMARY KEY (tenant_id, call_id, epoch, turn),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls.calls (tenant_id, id)
);
"""

CONVERSATIONS = """
CREATE TABLE calls.conversations (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  turn integer NOT NULL,
  state text NOT NULL,
  saved_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, call_id),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls.calls (tenant_id, id)
);
"""

USAGE = """
CREATE TABLE calls.usage (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('call_seconds')),
  quantity double precision NOT NULL CHECK (quantity >= 0),
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, call_id, kind),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls.calls (tenant_id, id)
);
"""

# A command to one epoch of a call is given once, whoever asks how often.
COMMANDS = """
CREATE TABLE calls.commands (
  tenant_id uuid NOT NULL,
  call_id uuid NOT NULL,
  epoch bigint NOT NULL,
  name text NOT NULL CHECK (name IN ('end')),
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  outcome text NOT NULL DEFAULT 'asked' CHECK (outcome IN ('asked', 'job', 'room_deleted', 'over')),
  done_at timestamptz,
  PRIMARY KEY (tenant_id, call_id, epoch, name),
  FOREIGN KEY (tenant_id, call_id) REFERENCES calls.calls (tenant_id, id)
);
"""

# Decisions about who may call whom that an operator or a clinic asks about later: refusals, takeovers, ends on request.
AUDIT = """
CREATE TABLE calls.audit (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  call_id uuid,
  actor text NOT NULL,
  action text NOT NULL,
  detail jsonb NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
"""

# Calls that belong to no tenant: an unknown number, or a known one on the wrong trunk. The service's role can't read
# the table; it records through one function, and operators list through another.
UNMATCHED = """
CREATE TABLE calls.unmatched_calls (
  id uuid PRIMARY KEY,
  room_sid text NOT NULL UNIQUE,
  sip_call_id text NOT NULL,
  trunk text,
  carrier_account text,
  dialled text NOT NULL,
  caller text,
  reason text NOT NULL,
  attempts integer NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL
);
CREATE INDEX unmatched_by_time ON calls.unmatched_calls (first_at DESC);
REVOKE ALL ON calls.unmatched_calls FROM PUBLIC;
GRANT SELECT ON calls.unmatched_calls TO ops;
GRANT SELECT, INSERT, UPDATE, DELETE ON calls.unmatched_calls TO calls_definer;
"""

# How often a room was given to the agents again; shared by all replicas, so that together they don't try more often.
DISPATCHES = """
CREATE TABLE calls.dispatches (
  room_sid text NOT NULL,
  attempt integer NOT NULL CHECK (attempt >= 1),
  at timestamptz NOT NULL,
  PRIMARY KEY (room_sid, attempt)
);
CREATE INDEX dispatches_by_time ON calls.dispatches (at);
"""

SWITCHES = """
CREATE TABLE calls.switches (
  name text PRIMARY KEY CHECK (name IN ('drain')),
  value boolean NOT NULL,
  changed_at timestamptz NOT NULL
);
"""

FUNCTIONS = """
GRANT SELECT (tenant_id, id, room_sid, degraded_id, state, epoch, lease_expires_at, started_at, answered_at, decision)
  ON calls.calls TO calls_definer;

CREATE FUNCTION calls.call_by_room(p_room_sid text, p_degraded_id uuid) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT c.tenant_id, c.id FROM calls.calls AS c
  WHERE c.room_sid = p_room_sid OR c.degraded_id = p_degraded_id
  ORDER BY c.room_sid IS NULL LIMIT 1
$body$;

CREATE FUNCTION calls.live_calls() RETURNS TABLE (
  tenant_id uuid, id uuid, room_sid text, state text, epoch bigint, lease_expires_at timestamptz,
  started_at timestamptz, answered_at timestamptz, max_seconds integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT c.tenant_id, c.id, c.room_sid, c.state, c.epoch, c.lease_expires_at, c.started_at, c.answered_at,
    (c.decision ->> 'max_call_seconds')::integer
  FROM calls.calls AS c WHERE c.state <> 'ended' ORDER BY c.started_at
$body$;

CREATE FUNCTION calls.unmatched_open(
  p_id uuid, p_room_sid text, p_sip_call_id text, p_trunk text, p_carrier_account text, p_dialled text, p_caller text,
  p_reason text, p_at timestamptz) RETURNS TABLE (id uuid, attempts integer)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  INSERT INTO calls.unmatched_calls AS u
    (id, room_sid, sip_call_id, trunk, carrier_account, dialled, caller, reason, first_at, last_at)
  VALUES (p_id, p_room_sid, p_sip_call_id, p_trunk, p_carrier_account, p_dialled, p_caller, p_reason, p_at, p_at)
  ON CONFLICT (room_sid) DO UPDATE SET attempts = u.attempts + 1, last_at = GREATEST(u.last_at, EXCLUDED.last_at)
  RETURNING u.id, u.attempts
$body$;

CREATE FUNCTION calls.unmatched_list(p_before timestamptz, p_limit integer) RETURNS SETOF calls.unmatched_calls
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
  SELECT * FROM calls.unmatched_calls AS u WHERE u.first_at < p_before ORDER BY u.first_at DESC
  LIMIT LEAST(p_limit, 500)
$body$;

CREATE FUNCTION calls.unmatched_prune(p_keep interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE touched bigint;
BEGIN
  DELETE FROM calls.unmatched_calls WHERE last_at < clock_timestamp() - p_keep;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN touched;
END
$body$;

GRANT SELECT (tenant_id), DELETE ON calls.calls, calls.call_events, calls.turns, calls.conversations, calls.usage,
  calls.commands, calls.audit, calls.outbox, calls.inbox TO calls_definer;

CREATE FUNCTION calls.erase_tenant(p_tenant_id uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  touched bigint;
  total bigint := 0;
  victim text;
BEGIN
  FOREACH victim IN ARRAY ARRAY['call_events', 'turns', 'conversations', 'usage', 'commands', 'audit', 'calls',
      'outbox', 'inbox'] LOOP
    EXECUTE format('DELETE FROM calls.%I WHERE tenant_id = $1', victim) USING p_tenant_id;
    GET DIAGNOSTICS touched = ROW_COUNT;
    total := total + touched;
  END LOOP;
  RETURN total;
END
$body$;
"""

SIGNATURES = (
    "call_by_room(text, uuid)",
    "live_calls()",
    "unmatched_open(uuid, text, text, text, text, text, text, text, timestamptz)",
    "unmatched_list(timestamptz, integer)",
    "unmatched_prune(interval)",
    "erase_tenant(uuid)",
)

APPEND = "SELECT, INSERT"
CHANGE = "SELECT, INSERT, UPDATE"


def upgrade() -> None:
    sql(CALLS + CALL_EVENTS + TURNS + CONVERSATIONS + USAGE + COMMANDS + AUDIT + UNMATCHED + DISPATCHES + SWITCHES)
    for table, grants in {
        "calls": CHANGE,
        "call_events": APPEND,
        "turns": CHANGE,
        "conversations": CHANGE,
        "usage": CHANGE,
        "commands": CHANGE,
        "audit": APPEND,
    }.items():
        sql(tenant_table("calls", table, grants=grants))
    sql(platform_table("calls", "dispatches", grants="SELECT, INSERT, DELETE"))
    sql(platform_table("calls", "switches", grants=CHANGE))
    sql(FUNCTIONS + "".join(definer_function("calls", signature) for signature in SIGNATURES))
