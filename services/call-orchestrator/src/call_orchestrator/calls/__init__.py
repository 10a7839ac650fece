"""Calls: their state machine, their record, the facts that feed both, and questions about them."""
