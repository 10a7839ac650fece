"""Whose word is taken for where a request comes from. Without configured proxies: nobody's, the connection alone counts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from switchboard.service import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ClientHeader = Literal["x-forwarded-for", "x-real-ip"]

_MOST_HOPS = 20


@dataclass(frozen=True, slots=True)
class Proxies:
    """``trusted`` may state in ``header`` for whom they ask.

    ``x-forwarded-for``: each proxy adds at the right whom it was asked by, so it is read from there, and only as far as
    trusted proxies have written. ``x-real-ip``: one address, for an edge that sets it whatever its client sent.
    """

    trusted: tuple[Network, ...] = ()
    header: ClientHeader = "x-forwarded-for"

    @classmethod
    def of(cls, blocks: Iterable[str], header: ClientHeader) -> Proxies:
        return cls(tuple(ipaddress.ip_network(block) for block in blocks), header)

    def address_of(self, scope: Scope) -> str:
        """The client's address; empty when the connection has none (a unix socket)."""
        client = scope.get("client")
        peer = str(client[0]) if client else ""
        if not self.trusted:
            return peer
        address = _parsed(peer)
        if address is None or not self._trusts(address):
            return peer
        name = self.header.encode()
        values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
        if self.header == "x-real-ip":
            stated = _parsed(values[0]) if len(values) == 1 else None
            return str(stated or address)
        hops = [hop for value in values for hop in value.split(",")]
        for hop in reversed(hops[-_MOST_HOPS:]):
            stated = _parsed(hop)
            if stated is None:
                break  # whatever stands further left was not written by one who knows
            address = stated
            if not self._trusts(address):
                break
        return str(address)

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self.trusted)


def _parsed(text: str) -> Address | None:
    """An address as proxies write it: bare, ``192.0.2.1:443``, ``[2001:db8::1]`` or ``[2001:db8::1]:443``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        # A zone is the other machine's business, and would be a new address for each name.
        return address.ipv4_mapped or ipaddress.IPv6Address(address.packed)
    return address
