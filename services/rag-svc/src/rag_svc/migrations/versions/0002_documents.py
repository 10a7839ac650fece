"""Documents and their chunks.

There is no index over the vectors on purpose. A clinic has hundreds of chunks, and reading all of one tenant's exactly
takes less time than an HNSW index under row-level security, which also finds fewer. The vectors are kept inside the row
(STORAGE PLAIN), or each comparison would fetch them from the side table.
"""

from __future__ import annotations

from switchboard.migrate import definer_function, sql, tenant_table

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE knowledge.documents (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  name text NOT NULL,
  media_type text NOT NULL,
  size bigint NOT NULL CHECK (size > 0),
  sha256 text NOT NULL,
  blob_key text NOT NULL,
  status text NOT NULL CHECK (status IN ('uploaded', 'parsing', 'embedding', 'indexed', 'failed')),
  reason text CHECK (reason IS NULL OR status = 'failed'),
  revision integer NOT NULL DEFAULT 1 CHECK (revision >= 1),
  indexed_revision integer CHECK (indexed_revision <= revision),
  chunks integer NOT NULL DEFAULT 0,
  uploaded_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
COMMENT ON COLUMN knowledge.documents.revision IS 'the newest ingestion that was asked for';
COMMENT ON COLUMN knowledge.documents.indexed_revision IS 'the ingestion that searches see; NULL before the first';
CREATE INDEX documents_by_time ON knowledge.documents (tenant_id, uploaded_at DESC, id DESC);

CREATE TABLE knowledge.chunks (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  document_id uuid NOT NULL,
  revision integer NOT NULL,
  ordinal integer NOT NULL CHECK (ordinal >= 0),
  heading text NOT NULL,
  text text NOT NULL,
  model text NOT NULL,
  vector public.vector(384) NOT NULL,
  words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('pg_catalog.english', heading || ' ' || text)) STORED,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, document_id, revision, ordinal),
  FOREIGN KEY (tenant_id, document_id) REFERENCES knowledge.documents (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE knowledge.chunks ALTER COLUMN vector SET STORAGE PLAIN;
"""


# Outbox and inbox let a service add and read only, so erasing needs a function. Chunks go by their foreign key.
ERASE = """
GRANT SELECT (tenant_id), DELETE ON knowledge.documents TO knowledge_definer;
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
    sql(
        TABLES
        + tenant_table("knowledge", "documents")
        + tenant_table("knowledge", "chunks")
        + ERASE
        + definer_function("knowledge", "erase_tenant(uuid)")
    )
