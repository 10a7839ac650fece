-- Outbox (some sent, some waiting, one that keeps failing) and inbox of three tenants, in the schema {schema} at 0001.
INSERT INTO {schema}.outbox (tenant_id, id, subject, key, payload, headers, created_at, attempts, sent_at)
SELECT md5('tenant ' || n % 3)::uuid, md5('message ' || n)::uuid,
  'tenants.' || md5('tenant ' || n % 3) || '.x.' || md5('entity ' || n % 50) || '.happened',
  'tenants.' || md5('tenant ' || n % 3) || '.x.' || md5('entity ' || n % 50),
  convert_to('{"n": ' || n || '}', 'UTF8'), jsonb_build_object('Switchboard-Contract', 'x.happened/1'),
  '2026-11-01 08:00+00'::timestamptz + n * interval '1 second', CASE WHEN n % 10 = 0 THEN 7 ELSE 1 END,
  CASE WHEN n % 10 = 0 THEN NULL ELSE '2026-11-01 08:01+00'::timestamptz + n * interval '1 second' END
FROM generate_series(1, 3000) AS n;
INSERT INTO {schema}.inbox (tenant_id, consumer, message_id, received_at)
SELECT md5('tenant ' || n % 3)::uuid, 'some-consumer', md5('received ' || n)::uuid,
  '2026-11-01 08:00+00'::timestamptz + n * interval '1 second'
FROM generate_series(1, 3000) AS n;
