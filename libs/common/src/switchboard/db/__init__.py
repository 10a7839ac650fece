"""PostgreSQL: one pool, and one way to a connection, which is a transaction that knows whose it is.

::

    async with Database.open(settings.database, name="tenant-svc") as db:
        async with db.tenant(tenant_id) as conn:
            row = await conn.fetchrow(SELECT_LOCATION, location_id)

SQL stands in each service's ``repository.py`` as module-level constants in capitals; a test prepares every one of them
against the migrated schema.
"""

from switchboard.db.database import DATABASE_ERRORS, PLATFORM_TENANT, Connection, Database, DirtyConnection

__all__ = ["DATABASE_ERRORS", "PLATFORM_TENANT", "Connection", "Database", "DirtyConnection"]
