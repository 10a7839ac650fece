"""The plain worker beside ours."""

AGENT_NAME = "plain"

ECHO = "echo"
"""A job's metadata: no agent, the caller's audio comes back."""
