"""Bindings of dialled numbers in PostgreSQL."""

from __future__ import annotations

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"

SELECT_TRUNK_NUMBER = "SELECT true FROM tenancy.trunk_numbers WHERE trunk_id = $1 AND number = $2"
SELECT_OWN_TRUNK = "SELECT true FROM tenancy.trunks WHERE id = $1"
COUNT_NUMBERS = "SELECT count(*) FROM tenancy.numbers"
NUMBER_TAKEN = "SELECT tenancy.number_taken($1, $2, $3)"
SELECT_NUMBER = "SELECT number, trunk, carrier_account FROM tenancy.numbers WHERE id = $1"
INSERT_NUMBER = f"""
INSERT INTO tenancy.numbers (tenant_id, id, number, trunk, trunk_id, carrier_account, created_at)
VALUES ({_TENANT}, $1, $2, $3, $4, $5, $6)
"""
