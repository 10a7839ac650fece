-- What is indexed from now on has its words posted, by the trigger: one document is new, the others were indexed again.
INSERT INTO knowledge.documents (tenant_id, id, name, media_type, size, sha256, blob_key, status, revision, chunks,
  uploaded_at, updated_at, space)
VALUES (md5('tenant 1')::uuid, md5('posted')::uuid, 'Prices.md', 'text/markdown', 10, repeat('1', 64), 'documents/posted',
  'embedding', 1, 2, '2026-11-01 08:00+00', '2026-11-01 08:00+00', 'all-MiniLM-L6-v2');
INSERT INTO knowledge.chunks (tenant_id, id, document_id, revision, ordinal, heading, text, model, vector)
SELECT md5('tenant 1')::uuid, md5('posted chunk ' || o)::uuid, md5('posted')::uuid, 1, o, 'Prices',
  'A brow lift costs ' || o || ' euros.', 'all-MiniLM-L6-v2', array_fill(0.05103, ARRAY[384])::public.vector(384)
FROM generate_series(0, 1) AS o;
UPDATE knowledge.documents SET status = 'indexed', indexed_revision = 1, indexed_space = 'all-MiniLM-L6-v2'
WHERE tenant_id = md5('tenant 1')::uuid AND id = md5('posted')::uuid;
UPDATE knowledge.documents SET indexed_revision = indexed_revision WHERE indexed_revision IS NOT NULL;
