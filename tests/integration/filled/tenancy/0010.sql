-- Every account has founded something, some of it long ago.
INSERT INTO tenancy.foundings (account_id, key, request, founded, created_at)
SELECT id, sha256(convert_to('key ' || n, 'UTF8')), sha256(convert_to('request ' || n, 'UTF8')),
  md5(id || ' founded ' || n)::uuid, '2026-11-05 08:00+00'::timestamptz + n * interval '1 hour'
FROM tenancy.accounts, generate_series(1, 5) AS n;
