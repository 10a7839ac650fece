-- Three clinics in different states, with everything that a clinic has.
INSERT INTO tenancy.tenants
SELECT md5('tenant ' || n)::uuid, 'Clinic ' || n, (ARRAY['live', 'paused', 'draft'])[n + 1], 'Europe/Madrid', 'en',
  'default', '{"greeting": "Hello", "max_concurrent_calls": 5}', CASE WHEN n < 2 THEN 20 END, '2026-10-01 08:00+00'
FROM generate_series(0, 2) AS n;
INSERT INTO tenancy.users
SELECT tenant_id, md5(tenant_id || ' user ' || u)::uuid, 'user' || u || '@example.test', created_at
FROM tenancy.tenants, generate_series(1, 20) AS u;
INSERT INTO tenancy.memberships SELECT tenant_id, id, 'admin', created_at FROM tenancy.users;
INSERT INTO tenancy.api_keys
SELECT tenant_id, md5(id || ' key')::uuid, sha256(convert_to(id::text, 'UTF8')), ARRAY['owner'], created_at, NULL,
  CASE WHEN email LIKE 'user1%' THEN created_at END FROM tenancy.users;
INSERT INTO tenancy.data_keys SELECT tenant_id, sha256(uuid_send(tenant_id)), created_at FROM tenancy.tenants;
INSERT INTO tenancy.locations
SELECT tenant_id, md5(tenant_id || ' location ' || n)::uuid, 'Centro ' || n, 'Calle Mayor ' || n,
  '[{"day": "monday", "opens": "09:00:00", "closes": "18:00:00"}]', '' FROM tenancy.tenants, generate_series(1, 5) AS n;
INSERT INTO tenancy.holidays
SELECT tenant_id, date '2026-12-01' + n, 'Holiday ' || n, CASE WHEN n % 2 = 0 THEN time '10:00' END,
  CASE WHEN n % 2 = 0 THEN time '14:00' END FROM tenancy.tenants, generate_series(0, 30) AS n;
INSERT INTO tenancy.trunks
SELECT tenant_id, md5(tenant_id || ' trunk')::uuid, 'Own SBC', 'default', ARRAY['203.0.113.0/28'], 'user',
  sha256(uuid_send(tenant_id)), created_at FROM tenancy.tenants;
INSERT INTO tenancy.trunk_numbers
SELECT t.tenant_id, t.id, t.media_cell, '+3491' || (row_number() OVER () + 1000000)
FROM tenancy.trunks AS t, generate_series(1, 40) AS n;
INSERT INTO tenancy.numbers
SELECT tenant_id, md5(number)::uuid, number, replace(trunk_id::text, '-', ''), trunk_id, NULL, '2026-10-01 08:00+00'
FROM tenancy.trunk_numbers;
INSERT INTO tenancy.numbers
SELECT tenant_id, md5(tenant_id || ' platform')::uuid, '+3492' || (row_number() OVER () + 1000000), 'platform', NULL, 'AC1',
  created_at FROM tenancy.tenants;
INSERT INTO tenancy.configurations
SELECT tenant_id, v, status, jsonb_build_object('version', v, 'name', name), created_at + v * interval '1 day'
FROM tenancy.tenants, generate_series(1, 20) AS v;
INSERT INTO tenancy.audit
SELECT tenant_id, md5(tenant_id || ' audit ' || n)::uuid, created_at, 'user', 'x', 'number.added', '+34910000001'
FROM tenancy.tenants, generate_series(1, 300) AS n;
