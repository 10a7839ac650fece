-- Kept answers of every tenant that has something, some of them long past.
INSERT INTO knowledge.repeats (tenant_id, key, request, answer, created_at)
SELECT tenant_id, sha256(convert_to('key ' || n, 'UTF8')), sha256(convert_to('request ' || n, 'UTF8')),
  convert_to('sealed ' || n, 'UTF8'), '2026-11-01 08:00+00'::timestamptz + n * interval '1 minute'
FROM (SELECT DISTINCT tenant_id FROM knowledge.documents) AS tenants, generate_series(1, 300) AS n;
