"""Every store that keeps tenants' data has somebody who erases it."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

import pytest
from switchboard.bus.topology import BUCKETS
from switchboard.erasers import STORES

pytestmark = pytest.mark.unit


def test_every_store_is_erased_by_the_package_that_owns_it() -> None:
    named = {store: package for package in set(STORES.values()) for store in import_module(f"{package}.erasers").STORES}
    assert named == STORES


def test_no_schema_and_no_bucket_is_forgotten() -> None:
    """Streams hold words under the tenant's data key only; destroying it (bus.tenant-keys) erases them."""
    schemas = {f"postgres.{point.name}" for point in entry_points(group="switchboard.migrations")}
    buckets = {f"bus.{bucket}" for bucket in BUCKETS}
    assert schemas
    assert schemas | buckets <= set(STORES)
