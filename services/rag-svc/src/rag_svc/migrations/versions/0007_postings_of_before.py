"""The posting lists of what was indexed before there were any, by the trigger of 0006.

A version of its own: 0006 locks the table of documents, which must be short, and this takes long but locks rows only.
Searches go on meanwhile; a document that is being indexed waits. In as many statements as hexadecimal digits, since each has
a time limit of its own. It is done as the role that row-level security doesn't bind; the owner sees no tenant's rows.
"""

from __future__ import annotations

from switchboard.migrate import sql

revision = "0007"
down_revision = "0006"

RIGHTS = """
GRANT SELECT (id, indexed_revision), UPDATE (indexed_revision) ON knowledge.documents TO knowledge_definer;
GRANT SELECT ON knowledge.chunks TO knowledge_definer;
GRANT SELECT, INSERT, DELETE ON knowledge.postings TO knowledge_definer;
SET LOCAL ROLE knowledge_definer;
"""
FILL = """
UPDATE knowledge.documents SET indexed_revision = indexed_revision
WHERE indexed_revision IS NOT NULL AND right(id::text, 1) = '{digit}';
"""
NO_RIGHTS = """
SET LOCAL ROLE knowledge_owner;
REVOKE SELECT (id, indexed_revision), UPDATE (indexed_revision) ON knowledge.documents FROM knowledge_definer;
REVOKE SELECT ON knowledge.chunks FROM knowledge_definer;
REVOKE SELECT, INSERT, DELETE ON knowledge.postings FROM knowledge_definer;
"""


def upgrade() -> None:
    sql(RIGHTS)
    for digit in "0123456789abcdef":
        sql(FILL.format(digit=digit))
    sql(NO_RIGHTS)
