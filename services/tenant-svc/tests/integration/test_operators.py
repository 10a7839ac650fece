"""The operators' routes, and what the process says of itself."""

from __future__ import annotations

import uuid

import pytest
from switchboard.contracts import tenants as contract
from switchboard.contracts.base import Empty
from switchboard.contracts.snapshot import TenantStatus
from switchboard.errors import Forbidden
from tenant_svc.testing import TenantSvc

pytestmark = pytest.mark.integration

ROUTES = (
    ("GET", "/ops/tenants"),
    ("POST", f"/ops/tenants/{uuid.uuid4().hex}/suspend"),
    ("POST", f"/ops/tenants/{uuid.uuid4().hex}/resume"),
    ("POST", "/ops/reconcile"),
    ("GET", "/ops/reconcile"),
    ("POST", "/ops/snapshots/rebuild"),
)


async def test_nobody_gets_in_without_the_token(tenant_svc: TenantSvc) -> None:
    for method, path in ROUTES:
        bare = await tenant_svc.http.request(method, path)
        wrong = await tenant_svc.operate(method, path, token="operators-token-of-the-test")
        for answer in (bare, wrong):
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"


async def test_tenants_are_listed_page_by_page_without_their_configuration(tenant_svc: TenantSvc) -> None:
    clinics = [await tenant_svc.sign_up(f"Clinica {number}") for number in range(3)]
    first = (await tenant_svc.operate("GET", "/ops/tenants?limit=2")).json()
    second = (await tenant_svc.operate("GET", f"/ops/tenants?limit=2&after={first['next']}")).json()
    listed = [*first["tenants"], *second["tenants"]]
    assert sorted(row["tenant_id"] for row in listed) == sorted(clinic.tenant_id.hex for clinic in clinics)
    assert second["next"] is None
    assert set(listed[0]) == {"tenant_id", "name", "status", "published_version", "media_cell", "created_at"}
    assert (await tenant_svc.operate("GET", "/ops/tenants?after=x")).status_code == 400
    assert (await tenant_svc.operate("GET", "/ops/tenants?limit=0")).status_code == 422


async def test_a_suspended_clinic_takes_no_calls_until_an_operator_says_so(tenant_svc: TenantSvc) -> None:
    clinic = await tenant_svc.ready_clinic("+34911000401")
    await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    key = (await tenant_svc.new_key(clinic, "settings:write")).api_key
    path = f"/ops/tenants/{clinic.tenant_id.hex}"
    assert (await tenant_svc.operate("POST", f"{path}/resume")).status_code == 409
    assert (await tenant_svc.operate("POST", f"{path}/suspend")).json() == {"status": "suspended"}
    assert (await tenant_svc.operate("POST", f"{path}/suspend")).json() == {"status": "suspended"}
    with pytest.raises(Forbidden, match="only an operator"):
        await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)
    snapshot = await tenant_svc.snapshot(clinic)
    assert snapshot is not None
    assert (snapshot.status, snapshot.version) == (TenantStatus.SUSPENDED, 2)
    assert (await tenant_svc.authenticate(key)).suspended
    assert (await tenant_svc.operate("POST", f"{path}/resume")).json() == {"status": "paused"}
    assert not (await tenant_svc.authenticate(key)).suspended
    assert (await tenant_svc.ask(contract.GO_LIVE, Empty(), clinic)).version == 4
    actions = await tenant_svc.rows("SELECT action FROM tenancy.audit_log ORDER BY seq DESC LIMIT 3")
    assert [row["action"] for row in actions] == ["tenant.went_live", "tenant.resumed", "tenant.suspended"]


async def test_a_clinic_that_nobody_knows_is_not_found(tenant_svc: TenantSvc) -> None:
    assert (await tenant_svc.operate("POST", f"/ops/tenants/{uuid.uuid4().hex}/suspend")).status_code == 404


async def test_without_livekit_the_service_is_ready_and_says_what_it_lacks(tenant_svc: TenantSvc) -> None:
    await tenant_svc.operate("POST", "/ops/reconcile")
    answer = await tenant_svc.http.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    [last] = (await tenant_svc.operate("GET", "/ops/reconcile")).json()["cells"]
    assert (last["ok"], last["error"]) == (False, "Unavailable")
    metrics = (await tenant_svc.http.get("/metrics")).text
    assert 'tenant_svc_reconciler_rounds_total{cell="default",outcome="failed"}' in metrics
