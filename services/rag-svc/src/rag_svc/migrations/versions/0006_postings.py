"""Which chunks have a word: posting lists, for a search that looks at nothing else.

Row-level security lets only leakproof operators use an index, which those of uuid and text are and a tsvector's are not. A
trigger keeps the lists, so a rag-svc of before, which knows nothing of them, keeps them too. A row is about one word of one
document, so documents that are indexed at the same time don't wait for each other. What is indexed already follows in 0007.
"""

from __future__ import annotations

from switchboard.migrate import sql, tenant_table

revision = "0006"
down_revision = "0005"

TABLES = """
ALTER TABLE knowledge.documents
  ADD COLUMN indexed_chunks bigint NOT NULL DEFAULT 0,
  ADD COLUMN indexed_lexemes bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN knowledge.documents.indexed_chunks IS 'how many chunks searches see; kept by the trigger post_words';
COMMENT ON COLUMN knowledge.documents.indexed_lexemes IS 'the sum of their sizes, as in knowledge.postings';

CREATE TABLE knowledge.postings (
  tenant_id uuid NOT NULL,
  lexeme text NOT NULL,
  document_id uuid NOT NULL,
  chunks uuid[] NOT NULL,
  sizes integer[] NOT NULL,
  PRIMARY KEY (tenant_id, lexeme, document_id),
  FOREIGN KEY (tenant_id, document_id) REFERENCES knowledge.documents (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX postings_by_document ON knowledge.postings (tenant_id, document_id);
COMMENT ON COLUMN knowledge.postings.chunks IS 'of the indexed revision';
COMMENT ON COLUMN knowledge.postings.sizes IS 'how many different lexemes each chunk has';
"""

# Before the row is written, for its own columns. The chunks of a revision are all there when it becomes the indexed one, and
# are not changed afterwards. As many rows as a document has words are written, once for each time it is indexed.
TRIGGER = """
CREATE FUNCTION knowledge.post_words() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  DELETE FROM knowledge.postings WHERE tenant_id = NEW.tenant_id AND document_id = NEW.id;
  INSERT INTO knowledge.postings (tenant_id, lexeme, document_id, chunks, sizes)
  SELECT NEW.tenant_id, w.lexeme, NEW.id, array_agg(c.id ORDER BY c.id), array_agg(c.size ORDER BY c.id)
  FROM (
    SELECT id, words, length(words) AS size FROM knowledge.chunks
    WHERE tenant_id = NEW.tenant_id AND document_id = NEW.id AND revision = NEW.indexed_revision OFFSET 0
  ) AS c CROSS JOIN LATERAL unnest(c.words) AS w
  GROUP BY w.lexeme;
  SELECT count(*), COALESCE(sum(length(words)), 0) INTO NEW.indexed_chunks, NEW.indexed_lexemes FROM knowledge.chunks
  WHERE tenant_id = NEW.tenant_id AND document_id = NEW.id AND revision = NEW.indexed_revision;
  RETURN NEW;
END
$body$;
REVOKE ALL ON FUNCTION knowledge.post_words() FROM PUBLIC;
CREATE TRIGGER post_words BEFORE UPDATE OF indexed_revision ON knowledge.documents
FOR EACH ROW EXECUTE FUNCTION knowledge.post_words();
"""


def upgrade() -> None:
    sql(TABLES + tenant_table("knowledge", "postings", grants="SELECT, INSERT, DELETE") + TRIGGER)
