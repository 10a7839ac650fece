"""One module per protocol; where each fact comes from stands in PROTOCOLS.md."""
