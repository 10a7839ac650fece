"""What the buckets of the bus are projected from."""

from __future__ import annotations

# A share of the row's lock: an erasure waits for a projection that has begun, and none begins after it.
LOCK_TENANT = "SELECT published_version FROM tenancy.tenants FOR SHARE"
SELECT_VERSION = "SELECT snapshot FROM tenancy.configurations WHERE version = $1"
LOCK_DATA_KEY = "SELECT wrapped FROM tenancy.data_keys FOR SHARE"

SELECT_SNAPSHOTS = "SELECT tenant_id, version FROM tenancy.published_snapshots($1, $2)"
SELECT_KEYS = "SELECT tenant_id, wrapped FROM tenancy.wrapped_keys($1, $2)"
