-- Documents in every state; those that are indexed with chunks of two revisions.
INSERT INTO knowledge.documents (tenant_id, id, name, media_type, size, sha256, blob_key, status, reason, revision,
  indexed_revision, chunks, uploaded_at, updated_at)
SELECT md5('tenant ' || n % 3)::uuid, md5('document ' || n)::uuid, 'Prices ' || n || '.pdf', 'application/pdf', 1000 + n,
  encode(sha256(convert_to(n::text, 'UTF8')), 'hex'), 'documents/' || n, s.status,
  CASE WHEN s.status = 'failed' THEN 'The file can''t be read.' END, 2,
  CASE WHEN s.status IN ('indexed', 'embedding') THEN 2 END, CASE WHEN s.status = 'indexed' THEN 10 ELSE 0 END,
  '2026-11-01 08:00+00'::timestamptz + n * interval '1 minute', '2026-11-01 09:00+00'::timestamptz + n * interval '1 minute'
FROM generate_series(1, 90) AS n,
  LATERAL (SELECT (ARRAY['uploaded', 'parsing', 'embedding', 'failed', 'indexed', 'indexed'])[1 + n % 6] AS status) AS s;
INSERT INTO knowledge.chunks (tenant_id, id, document_id, revision, ordinal, heading, text, model, vector)
SELECT d.tenant_id, md5('chunk ' || d.id || r || o)::uuid, d.id, r, o, 'Prices', 'A cleaning costs ' || o || ' euros.',
  'all-MiniLM-L6-v2', array_fill(0.05103, ARRAY[384])::public.vector(384)
FROM knowledge.documents AS d, generate_series(1, 2) AS r, generate_series(0, 9) AS o WHERE d.status = 'indexed';
