"""``tenancy.erase_tenant`` over a list of tables. What this writes never changes: applied versions were made by it."""

from __future__ import annotations

from collections.abc import Sequence

_BEGINS = """
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


def erase_tenant(tables: Sequence[str]) -> str:
    """SQL that makes the function anew; ``tables`` in the order of the foreign keys. Only for the tenant whose transaction it
    is called in."""
    deletes = "".join(
        f"""  DELETE FROM tenancy.{table} WHERE tenant_id = p_tenant;
  GET DIAGNOSTICS touched = ROW_COUNT;
  total := total + touched;
"""
        for table in tables
    )
    return f"{_BEGINS}{deletes}  RETURN total;\nEND\n$body$;\n"
