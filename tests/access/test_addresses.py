from ipaddress import ip_network

import pytest

from trackside.server.access.addresses import address_of, is_within

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("10.1.1.1", "203.0.113.9", "203.0.113.9"),
        ("10.1.1.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.1.1", "1.1.1.1, 203.0.113.9, 10.2.2.2", "203.0.113.9"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "nonsense", "10.1.1.1"),
        ("10.1.1.1", "1.1.1.1, nonsense", "10.1.1.1"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.1.1.1", "203.0.113.9", "203.0.113.9"),
        ("unknown", "203.0.113.9", "unknown"),
        ("10.1.1.1", ",".join(["1.1.1.1"] * 100_000), "1.1.1.1"),
    ],
)
def test_only_proxies_of_ours_are_believed(peer, forwarded, client):
    assert address_of(peer, forwarded, PROXIES) == client


def test_without_trusted_proxies_nobody_is():
    assert address_of("10.1.1.1", "203.0.113.9", ()) == "10.1.1.1"


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.255.0.1", True), ("::ffff:10.0.0.1", True), ("11.0.0.1", False), ("", False), ("10.0.0.1.evil", False)],
)
def test_what_is_within(address, inside):
    assert is_within(address, PROXIES) is inside
