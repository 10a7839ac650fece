"""The operators' own HTTP: what goes on across tenants."""
