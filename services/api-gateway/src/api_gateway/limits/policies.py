"""Which limits there are, and what stands for an address, a key or an account where they are counted."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from switchboard.settings import SealingSettings

from api_gateway.limits.gcra import Policy
from api_gateway.settings import LimitSettings, QuotaSettings

SIGN_UP = "POST /v1/auth/sign-up"


@dataclass(frozen=True, slots=True)
class Policies:
    """``by_operation``: counted by address in place of ``anonymous``, by ``METHOD /path``."""

    address: Policy
    anonymous: Policy
    failures: Policy
    key: Policy
    tenant: Policy
    account: Policy
    login: Policy
    by_operation: Mapping[str, Policy] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: LimitSettings) -> Policies:
        def policy(name: str, quota: QuotaSettings) -> Policy:
            return Policy(name, quota.quota, quota.window_s)

        return cls(
            address=policy("address", settings.address),
            anonymous=policy("anonymous", settings.anonymous),
            failures=policy("failures", settings.failures),
            key=policy("key", settings.key),
            tenant=policy("tenant", settings.tenant),
            account=policy("account", settings.account),
            login=policy("login", settings.login),
            by_operation={SIGN_UP: policy("signup", settings.signup)},
        )


def secret_of(sealing: SealingSettings) -> bytes:
    """The same in every gateway, and good for nothing else."""
    return hashlib.blake2b(key=sealing.masters()[0], person=b"rate limit keys", digest_size=32).digest()


@functools.lru_cache(maxsize=8192)
def hashed(secret: bytes, kind: str, value: bytes) -> str:
    """Keyed: there are few enough addresses to try them all. ``kind`` has up to 16 letters."""
    return hashlib.blake2b(value, key=secret, person=kind.encode(), digest_size=16).hexdigest()


@functools.lru_cache(maxsize=8192)
def address_key(address: str) -> bytes:
    """One subscriber: an IPv4 address, or the /64 that an IPv6 address is in."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return b"unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return parsed.packed[:8]
        parsed = parsed.ipv4_mapped
    return parsed.packed
