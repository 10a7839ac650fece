-- Keys with scopes: some in force, some expired, some revoked.
INSERT INTO tenancy.api_keys
  (tenant_id, id, secret_sha256, roles, created_at, last_used_at, revoked_at, name, scopes, created_by, expires_at)
SELECT tenant_id, md5(tenant_id || ' scoped ' || n)::uuid, sha256(convert_to(tenant_id || ' scoped ' || n, 'UTF8')), '{}',
  created_at, created_at + interval '1 day', CASE WHEN n % 5 = 0 THEN created_at + interval '2 days' END, 'Key ' || n,
  ARRAY['calls:read', 'documents:write'], 'user:' || md5(tenant_id || ' user 1'),
  created_at + CASE WHEN n % 3 = 0 THEN interval '1 day' ELSE interval '90 days' END
FROM tenancy.tenants, generate_series(1, 30) AS n;
