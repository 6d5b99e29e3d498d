"""From which address a request comes, and whether it is one of those that are answered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from trackside.server.access.config import Network

Address = IPv4Address | IPv6Address
MAX_HOPS = 32


def address_of(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The nearest address that is not a proxy of ours. What stands left of it anybody may have invented."""
    if not trusted or not is_within(peer, trusted):
        return peer
    hops = [hop.strip() for hop in forwarded_for.split(",")[-MAX_HOPS:]]
    client = peer
    for hop in reversed(hops):
        if _parsed(hop) is None:
            break
        client = hop
        if not is_within(hop, trusted):
            break
    return client


def is_within(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    # A socket for both kinds shows addresses of version 4 as ::ffff:192.0.2.7.
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
