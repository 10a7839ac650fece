"""Migrations of the schema ``calls``; applied by ``python -m switchboard.migrate``."""
