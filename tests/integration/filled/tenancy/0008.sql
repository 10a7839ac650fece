-- Forty people, most in one clinic, some in two; sessions, links and mail in every state.
INSERT INTO tenancy.accounts
SELECT md5('account ' || n)::uuid, 'person' || n || '@example.test',
  CASE WHEN n % 4 > 0 THEN '$argon2id$v=19$m=19456,t=2,p=1$' || md5('salt ' || n) || '$' || md5('hash ' || n) END,
  CASE WHEN n % 5 = 0 THEN sha256(convert_to('totp ' || n, 'UTF8')) END,
  CASE WHEN n % 10 = 0 THEN '2026-11-02 08:00+00'::timestamptz END, 0, '2026-11-01 08:00+00',
  CASE WHEN n % 20 = 0 THEN '2026-11-03 08:00+00'::timestamptz END
FROM generate_series(1, 40) AS n;
INSERT INTO tenancy.recovery_codes
SELECT id, sha256(convert_to(id || ' code ' || n, 'UTF8'))
FROM tenancy.accounts, generate_series(1, 10) AS n WHERE totp_confirmed_at IS NOT NULL;
INSERT INTO tenancy.links
SELECT md5('link ' || n)::uuid, (ARRAY['sign_up', 'sign_in', 'reset', 'nothing'])[n % 4 + 1],
  sha256(convert_to('link ' || n, 'UTF8')), sha256(convert_to('browser ' || n, 'UTF8')), 'person' || n || '@example.test',
  NULL, '2026-11-04 08:00+00', '2026-11-04 08:10+00',
  CASE WHEN n % 2 = 0 THEN '2026-11-04 08:01+00'::timestamptz END
FROM generate_series(1, 200) AS n;
INSERT INTO tenancy.sessions
SELECT md5(id || ' session ' || n)::uuid, sha256(convert_to(id || ' session ' || n, 'UTF8')), id,
  CASE WHEN n = 3 THEN 'second_factor' ELSE 'full' END, 0, '2026-11-05 08:00+00', '2026-11-05 09:00+00', '2026-11-12 08:00+00',
  CASE WHEN n = 2 THEN '2026-11-06 08:00+00'::timestamptz END, '203.0.113.9', 'Mozilla/5.0'
FROM tenancy.accounts, generate_series(1, 3) AS n;
INSERT INTO tenancy.mails
SELECT md5('mail ' || n)::uuid, CASE WHEN n % 3 = 0 THEN sha256(convert_to('mail ' || n, 'UTF8')) END,
  '2026-11-05 08:00+00', '2026-11-05 08:10+00', n % 3, '2026-11-05 08:01+00',
  CASE WHEN n % 3 > 0 THEN '2026-11-05 08:01+00'::timestamptz END, CASE WHEN n % 3 > 0 THEN 'sent' END
FROM generate_series(1, 100) AS n;
INSERT INTO tenancy.members
SELECT t.tenant_id, md5('account ' || n)::uuid, (ARRAY['owner', 'admin', 'staff', 'read_only'])[n % 4 + 1], t.created_at
FROM tenancy.tenants AS t, generate_series(1, 40) AS n WHERE md5(t.tenant_id || ' ' || n) < 'a';
INSERT INTO tenancy.session_tenants
SELECT DISTINCT ON (s.id) m.tenant_id, s.id, s.created_at
FROM tenancy.sessions AS s JOIN tenancy.members AS m ON m.account_id = s.account_id WHERE s.stage = 'full';
