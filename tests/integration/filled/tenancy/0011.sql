-- Somebody's tenant is suspended.
UPDATE tenancy.tenants SET status = 'suspended' WHERE tenant_id = (SELECT min(tenant_id::text)::uuid FROM tenancy.tenants);
