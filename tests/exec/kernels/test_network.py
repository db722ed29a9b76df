"""kernels/network.py: texts of addresses, order, networks."""

from __future__ import annotations

import ipaddress

import pytest

from shoal.catalog.errors import InvalidTextRepresentation
from shoal.exec.kernels import network


@pytest.mark.parametrize(("kind", "text", "shown"), [
    ("inet", "10.0.0.1", "10.0.0.1"), ("inet", "10.0.0.1/8", "10.0.0.1/8"), ("inet", "10/8", "10.0.0.0/8"),
    ("cidr", "10", "10.0.0.0/8"), ("cidr", "192.168.1", "192.168.1.0/24"), ("cidr", "224", "224.0.0.0/4"),
    ("cidr", "::1", "::1/128"), ("inet", "::ffff:1.2.3.4", "::ffff:1.2.3.4"), ("inet", "2001:DB8::1/64", "2001:db8::1/64")])
def test_texts(kind: str, text: str, shown: str) -> None:
    assert network.text_of(network.parsed(text, kind), kind) == shown


@pytest.mark.parametrize(("kind", "text"), [
    ("inet", "10.1"), ("inet", "10.1/24"), ("inet", "1.2.3.256"), ("inet", "::1/129"), ("inet", "1.2.3.4/x"), ("inet", ""),
    ("cidr", "10.0.0.1/8")])
def test_what_is_no_address(kind: str, text: str) -> None:
    with pytest.raises(InvalidTextRepresentation):
        network.parsed(text, kind)


def test_networks_agree_with_the_standard_library() -> None:
    texts = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "11.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32"]
    for a in texts:
        for b in texts:
            left, right = ipaddress.ip_network(a), ipaddress.ip_network(b)
            same = left.version == right.version
            within = network.within(network.address_of(a), network.address_of(b), strictly=False)
            assert within == (same and left.subnet_of(right))  # type: ignore[arg-type]
            assert network.overlapping(network.address_of(a), network.address_of(b)) == (same and left.overlaps(right))


def test_order() -> None:
    ordered = ["9.1.1.1", "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/24", "10.0.0.5", "::1"]
    backwards = ordered[::-1]
    assert sorted(backwards, key=network.order_key) == ordered


@pytest.mark.parametrize("text", ["08:00:2b:01:02:03", "08-00-2b-01-02-03", "08002b:010203", "0800.2b01.0203",
                                  "08002B010203"])
def test_hardware_addresses(text: str) -> None:
    assert network.mac_text(network.parsed_mac(text), 6) == "08:00:2b:01:02:03"
