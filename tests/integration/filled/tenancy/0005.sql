-- Two tenants' chains have begun; the third one's lines still rest in tenancy.audit.
INSERT INTO tenancy.audit_log
SELECT tenant_id, n, md5(tenant_id || ' line ' || n)::uuid, created_at + n * interval '1 minute', 'api_key',
  md5(tenant_id || ' key'), ARRAY['owner'], 'number.added', 'number', md5(tenant_id || ' number ' || n), 'tenant-svc',
  '203.0.113.9', 'curl/8.0', md5('request ' || n), md5('trace ' || n), CASE WHEN n % 2 = 0 THEN '{"status":"draft"}' END,
  '{"number":"+34910000001"}', sha256(convert_to((n - 1)::text, 'UTF8')), sha256(convert_to(n::text, 'UTF8'))
FROM tenancy.tenants, generate_series(1, 200) AS n WHERE status <> 'draft';
INSERT INTO tenancy.audit_chains
SELECT tenant_id, sha256(uuid_send(tenant_id)), 200, sha256(convert_to('200', 'UTF8'))
FROM tenancy.tenants WHERE status <> 'draft';
