"""In which space each document's vectors are, and which one its newest revision was asked for.

Everything of before was embedded offline. A default fills the rows that are there (an UPDATE here would see none of them:
row-level security holds for the owner too) and goes.
"""

from __future__ import annotations

from switchboard.migrate import sql

revision = "0003"
down_revision = "0002"

COLUMNS = """
ALTER TABLE knowledge.documents
  ADD COLUMN space text NOT NULL DEFAULT 'all-MiniLM-L6-v2',
  ADD COLUMN indexed_space text DEFAULT 'all-MiniLM-L6-v2';
ALTER TABLE knowledge.documents ALTER COLUMN space DROP DEFAULT, ALTER COLUMN indexed_space DROP DEFAULT;
COMMENT ON COLUMN knowledge.documents.space IS 'what the newest ingestion was asked to embed it in';
COMMENT ON COLUMN knowledge.documents.indexed_space IS 'of the vectors that searches see; of no meaning before the first';
"""


def upgrade() -> None:
    sql(COLUMNS)
