"""What the library that takes addresses apart lets pass, and nobody can connect to. Pure."""

from __future__ import annotations

import re

import httpx

# Underscores are in no standard, and in many a network.
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]{2,45}")


def wrong_with(url: httpx.URL) -> str:
    """Why nobody can be asked at this host and port; "" when one can try."""
    host = url.raw_host.decode("ascii", "replace")
    if not host:
        return "expected a host name in the address"
    if not _HOST.fullmatch(host) or ".." in host:
        return f"not a host name: {host[:100]!r}"
    if url.port is not None and not 0 < url.port < 1 << 16:
        return f"not a port: {url.port}"
    return ""
