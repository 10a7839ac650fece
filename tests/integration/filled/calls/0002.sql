-- Calls in every state, with their turns, events, conversations, usage, commands and audit; calls that are nobody's.
INSERT INTO calls.calls (tenant_id, id, room_sid, degraded_id, room_name, sip_call_id, trunk, carrier_account, dialled,
  caller, job_id, state, epoch, claimed_at, position_epoch, position_seq, lease_expires_at, outcome, decision,
  configuration_version, degraded, started_at, answered_at, ended_at, end_reason, events, turns)
SELECT md5('tenant ' || n % 3)::uuid, md5('call ' || n)::uuid, CASE WHEN n % 97 = 0 THEN NULL ELSE 'RM_' || n END,
  md5('degraded ' || n)::uuid, 'call-+3491000' || n, 'sip-' || n, CASE WHEN n % 5 = 0 THEN NULL ELSE 'platform' END,
  CASE WHEN n % 7 = 0 THEN 'AC1' END, '+34910000001', '+3460000' || n, 'AJ_' || n, s.state, n % 4, at, n % 4, n,
  CASE WHEN s.state <> 'ended' THEN at + interval '30 seconds' END, 'talk', '{"max_call_seconds": 900}'::jsonb,
  1 + n % 9, n % 50 = 0, at, CASE WHEN s.state NOT IN ('ringing', 'admitted') THEN at + interval '2 seconds' END,
  CASE WHEN s.state = 'ended' THEN at + interval '3 minutes' END, CASE WHEN s.state = 'ended' THEN 'caller_hung_up' END,
  n % 30, 3
FROM generate_series(1, 2000) AS n,
  LATERAL (SELECT '2026-11-01 08:00+00'::timestamptz + n * interval '1 minute' AS at) AS a,
  LATERAL (SELECT CASE n % 40 WHEN 1 THEN 'ringing' WHEN 2 THEN 'admitted' WHEN 3 THEN 'talking' WHEN 4 THEN 'holding'
    WHEN 5 THEN 'transferring' ELSE 'ended' END AS state) AS s;
INSERT INTO calls.call_events
SELECT tenant_id, id, s, epoch, e, 'answered', 'applied', state, started_at, started_at, '{"by": "test"}'
FROM calls.calls, unnest(ARRAY['admission', 'agent', 'livekit']) AS s, generate_series(1, 2) AS e;
INSERT INTO calls.turns (tenant_id, call_id, epoch, turn, seq, kind, at, caller_said, agent_said, agent_heard, interrupted,
  passages, receipts, timings)
SELECT tenant_id, id, epoch, t, t, 'answered', started_at + t * interval '10 seconds',
  '[{"text": "how much is a cleaning", "confidence": 0.8}]', 'A cleaning costs 60 euros.', 'A cleaning costs', t = 2,
  '[{"text": "Cleaning: 60 euros", "score": 0.5, "cited": true}]', '[]', '{"first_audio": "2026-11-01T08:00:01Z"}'
FROM calls.calls, generate_series(0, 2) AS t;
INSERT INTO calls.conversations SELECT tenant_id, id, epoch, 3, 2, '{"state": 1}', started_at FROM calls.calls;
INSERT INTO calls.usage SELECT tenant_id, id, 'call_seconds', 180, ended_at FROM calls.calls WHERE state = 'ended';
INSERT INTO calls.commands
SELECT tenant_id, id, epoch, 'end', 'user 1', started_at, 'job', ended_at FROM calls.calls WHERE events % 10 = 0;
INSERT INTO calls.audit
SELECT tenant_id, md5('audit ' || id)::uuid, id, 'service operator', 'call.end', '{"why": "asked"}', started_at
FROM calls.calls;
INSERT INTO calls.unmatched_calls
SELECT md5('unmatched ' || n)::uuid, 'RM_u' || n, 'sip-u' || n, 'platform', NULL, '+34999' || n, NULL, 'unknown_number', 2,
  '2026-11-01 08:00+00', '2026-11-01 08:01+00' FROM generate_series(1, 200) AS n;
INSERT INTO calls.dispatches SELECT 'RM_' || n, 1, '2026-11-01 08:00+00' FROM generate_series(1, 100) AS n;
INSERT INTO calls.switches VALUES ('drain', false, '2026-11-01 08:00+00');
