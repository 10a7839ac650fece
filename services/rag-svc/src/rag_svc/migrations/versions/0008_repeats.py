"""Answers that are kept for requests that are made again; erased with the tenant."""

from __future__ import annotations

from switchboard.migrate import definer_function, repeats_sql, sql

revision = "0008"
down_revision = "0007"

ERASE = """
DROP FUNCTION knowledge.erase_tenant(uuid);
CREATE FUNCTION knowledge.erase_tenant(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
  touched bigint;
  total bigint := 0;
BEGIN
  IF p_tenant IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
    RAISE EXCEPTION 'only the tenant of the transaction can be erased';
  END IF;
  DELETE FROM knowledge.documents WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  total := total + touched;
  DELETE FROM knowledge.repeats WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  total := total + touched;
  DELETE FROM knowledge.outbox WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  total := total + touched;
  DELETE FROM knowledge.inbox WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  RETURN total + touched;
END
$body$;
"""


def upgrade() -> None:
    sql(repeats_sql("knowledge") + ERASE + definer_function("knowledge", "erase_tenant(uuid)"))
