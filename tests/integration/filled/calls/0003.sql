-- A turn in which a provider failed.
INSERT INTO calls.turns (tenant_id, call_id, epoch, turn, seq, kind, at, caller_said, agent_said, agent_heard, interrupted,
  passages, receipts, timings, faults)
SELECT tenant_id, id, epoch, 3, 9, 'dont_know', started_at, '[]', 'I don''t know that.', '', false, '[]', '[]', '{}',
  '[{"stage": "llm", "endpoint": "openai-main", "fault": "timeout", "served_by": "offline"}]'
FROM calls.calls;
