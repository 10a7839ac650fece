"""Migrations of the schema ``knowledge``; applied by ``python -m switchboard.migrate``."""
