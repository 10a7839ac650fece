"""The plain worker beside ours."""

AGENT_NAME = "plain"
