"""Migrations of the schema ``tenancy``; applied by ``python -m switchboard.migrate``."""
