"""Which schemas there are, whose they are, and the roles that go with each.

::

    <schema>_owner    can't log in; owns the tables; migrations run as it
    <schema>_definer  can't log in; BYPASSRLS; owns the listed SECURITY DEFINER functions and may touch only what they
    need <service role>    logs in; owns nothing; row-level security applies to it
    ops               logs in; BYPASSRLS; reads across tenants; its own password, no service has it
"""

from __future__ import annotations

from dataclasses import dataclass

OPS = "ops"


@dataclass(frozen=True, slots=True)
class Schema:
    """One service's schema. ``service`` is its login role; ``extensions`` are made before its first migration."""

    name: str
    service: str
    extensions: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        return f"{self.name}_owner"

    @property
    def definer(self) -> str:
        return f"{self.name}_definer"


SCHEMAS = (
    Schema("tenancy", "tenant_svc"),
    Schema("calls", "call_orchestrator"),
    Schema("knowledge", "rag_svc", extensions=("vector",)),
)


def schema_named(name: str) -> Schema:
    """The schema of that name; ``KeyError`` with the names there are otherwise."""
    for schema in SCHEMAS:
        if schema.name == name:
            return schema
    raise KeyError(f"no schema {name!r}; there are {', '.join(schema.name for schema in SCHEMAS)}")
