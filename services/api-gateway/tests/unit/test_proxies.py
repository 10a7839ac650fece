from __future__ import annotations

from typing import Any

import pytest
from api_gateway.access.proxies import ClientHeader, Proxies
from api_gateway.settings import ProxySettings
from pydantic import ValidationError

pytestmark = pytest.mark.unit


def scope(peer: str, *headers: tuple[str, str]) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "client": (peer, 40000), "headers": raw}


def forwarded(peer: str, *values: str) -> dict[str, Any]:
    return scope(peer, *(("x-forwarded-for", value) for value in values))


TWO = Proxies.of(["10.0.0.0/8", "192.0.2.10/32", "2001:db8:a::/48"], "x-forwarded-for")


@pytest.mark.parametrize(
    ("request_scope", "address"),
    [
        pytest.param(forwarded("203.0.113.9", "198.51.100.1"), "203.0.113.9", id="not through a proxy"),
        pytest.param(forwarded("10.0.0.1"), "10.0.0.1", id="the proxy itself"),
        pytest.param(forwarded("10.0.0.1", "198.51.100.1"), "198.51.100.1", id="one hop"),
        pytest.param(forwarded("10.0.0.1", "6.6.6.6, 198.51.100.1"), "198.51.100.1", id="what the client wrote"),
        pytest.param(forwarded("10.0.0.1", "6.6.6.6, 198.51.100.1, 192.0.2.10"), "198.51.100.1", id="two proxies"),
        pytest.param(forwarded("10.0.0.1", "6.6.6.6", "198.51.100.1"), "198.51.100.1", id="two headers"),
        pytest.param(forwarded("10.0.0.1", "10.1.1.1, 10.2.2.2"), "10.1.1.1", id="all of them proxies"),
        pytest.param(forwarded("10.0.0.1", "198.51.100.1, nonsense"), "10.0.0.1", id="no address"),
        pytest.param(forwarded("10.0.0.1", "198.51.100.1, , 192.0.2.10"), "192.0.2.10", id="a gap"),
        pytest.param(forwarded("10.0.0.1", "198.51.100.1:4711"), "198.51.100.1", id="with a port"),
        pytest.param(forwarded("10.0.0.1", "[2001:db8::7]:443"), "2001:db8::7", id="IPv6 with a port"),
        pytest.param(forwarded("2001:db8:a::1", "2001:db8::7%eth0"), "2001:db8::7", id="a zone"),
        pytest.param(forwarded("::ffff:10.0.0.1", "::ffff:198.51.100.1"), "198.51.100.1", id="mapped"),
        pytest.param(forwarded("10.0.0.1", "é"), "10.0.0.1", id="not ASCII"),
        pytest.param(scope("10.0.0.1", ("x-real-ip", "6.6.6.6")), "10.0.0.1", id="the other header"),
        pytest.param({"type": "http", "client": None, "headers": []}, "", id="a unix socket"),
    ],
)
def test_forwarded_for_is_read_from_the_right_through_trusted_hops(request_scope: dict[str, Any], address: str) -> None:
    assert TWO.address_of(request_scope) == address


@pytest.mark.parametrize("header", ["x-forwarded-for", "x-real-ip", "forwarded", "cf-connecting-ip"])
def test_without_configuration_no_header_counts(header: str) -> None:
    assert Proxies().address_of(scope("10.0.0.1", (header, "198.51.100.1"))) == "10.0.0.1"


def test_an_edge_that_states_one_address() -> None:
    edge = Proxies.of(["0.0.0.0/0", "::/0"], "x-real-ip")
    spoofed = ("x-forwarded-for", "6.6.6.6")
    assert edge.address_of(scope("100.64.0.2", ("x-real-ip", "198.51.100.1"), spoofed)) == "198.51.100.1"
    assert edge.address_of(scope("100.64.0.2", spoofed)) == "100.64.0.2"
    twice = scope("100.64.0.2", ("x-real-ip", "6.6.6.6"), ("x-real-ip", "198.51.100.1"))
    assert edge.address_of(twice) == "100.64.0.2"


def test_a_very_long_way_is_not_walked() -> None:
    assert TWO.address_of(forwarded("10.0.0.1", ", ".join(["6.6.6.6"] + ["10.0.0.1"] * 500))) == "10.0.0.1"


@pytest.mark.parametrize(
    ("trusted", "header"),
    [(["0.0.0.0/0"], "x-forwarded-for"), (["::/0"], "x-forwarded-for"), (["proxy.example"], "x-real-ip"),
     (["10.0.0.1/8"], "x-forwarded-for")],
)  # fmt: skip
def test_settings_that_would_trust_anybody_are_refused(trusted: list[str], header: ClientHeader) -> None:
    with pytest.raises(ValidationError):
        ProxySettings(trusted=tuple(trusted), header=header)


def test_settings_name_blocks() -> None:
    assert ProxySettings(trusted=("10.0.0.0/8", "192.0.2.1"), header="x-forwarded-for").trusted == (
        "10.0.0.0/8",
        "192.0.2.1/32",
    )
