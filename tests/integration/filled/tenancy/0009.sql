-- Invitations that wait, were accepted, revoked or are too old; support that is in, and that was.
INSERT INTO tenancy.invitations
SELECT tenant_id, md5(tenant_id || ' invitation ' || n)::uuid, 'guest' || n || '@example.test',
  (ARRAY['owner', 'admin', 'staff', 'read_only'])[n % 4 + 1], sha256(convert_to(tenant_id || ' invitation ' || n, 'UTF8')),
  'user:' || md5('account ' || n), created_at, created_at + interval '7 days',
  CASE WHEN n % 3 = 0 THEN created_at + interval '1 day' END, CASE WHEN n % 3 = 1 THEN created_at + interval '1 day' END
FROM tenancy.tenants, generate_series(1, 30) AS n;
INSERT INTO tenancy.support_accesses
SELECT tenant_id, md5(tenant_id || ' support ' || n)::uuid, 'calls are not answered', 'user:' || md5('account 1'),
  created_at + n * interval '1 day', created_at + n * interval '1 day' + interval '2 hours',
  CASE WHEN n % 2 = 0 THEN created_at + n * interval '1 day' + interval '1 hour' END
FROM tenancy.tenants, generate_series(1, 5) AS n;
UPDATE tenancy.accounts SET support = true WHERE email LIKE 'person4%';
