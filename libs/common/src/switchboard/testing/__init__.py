"""Helpers for the tests of every package; nothing outside tests imports this."""
