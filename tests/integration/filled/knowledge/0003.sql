-- A document that is moving from the offline space to a provider's.
INSERT INTO knowledge.documents (tenant_id, id, name, media_type, size, sha256, blob_key, status, revision,
  indexed_revision, chunks, uploaded_at, updated_at, space, indexed_space)
VALUES (md5('tenant 1')::uuid, md5('moving')::uuid, 'FAQ.md', 'text/markdown', 10, repeat('0', 64), 'documents/moving',
  'embedding', 2, 1, 4, '2026-11-01 08:00+00', '2026-11-01 08:00+00', 'openai-main text-embedding-3-small',
  'all-MiniLM-L6-v2');
