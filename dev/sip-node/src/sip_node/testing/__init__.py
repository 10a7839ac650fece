"""What the contract tests need to call a SIP node: a raw-socket caller, servers on free ports, a room participant."""
