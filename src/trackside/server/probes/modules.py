"""The module names of the blackbox exporter's own examples, as our keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HTTP, _TCP, _DNS = ("http", "https"), ("tcp",), ("dns",)

MODULES: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = {
    "http_2xx": (_HTTP, {}),
    "http_post_2xx": (_HTTP, {"method": "POST"}),
    "http_head_2xx": (_HTTP, {"method": "HEAD"}),
    "tcp_connect": (_TCP, {}),
    "tcp_connect_tls": (_TCP, {"with_tls": True}),
    "ssh_banner": (_TCP, {"expect": r"^SSH-2\.0-"}),
    "pop3s_banner": (_TCP, {"with_tls": True, "expect": r"^\+OK"}),
    "irc_banner": (_TCP, {"send": "NICK prober\r\nUSER prober prober prober :prober\r\n", "expect": r":[^ ]+ 001"}),
    "dns_udp": (_DNS, {"transport": "udp"}),
    "dns_tcp": (_DNS, {"transport": "tcp"}),
    "dns_soa": (_DNS, {"record": "SOA"}),
}
"""Name to (schemes that go with it, keys it stands for)."""

_REFUSED = {
    "icmp": "icmp needs raw sockets, which a server should not have; probe a port of the host: tcp_connect",
    "grpc": "gRPC is not probed; give the service an HTTP health page, or probe its port: tcp_connect",
}


def module_keys(name: str) -> Mapping[str, Any]:
    """
    Raises:
        ValueError: we do not have this module; the message says why, or what there is.
    """
    if name in MODULES:
        return MODULES[name][1]
    for beginning, sentence in _REFUSED.items():
        if name.startswith(beginning):
            raise ValueError(f"module: {sentence}")
    raise ValueError(f"module: {name!r} is not known; there are: {', '.join(MODULES)}")


def address_of(name: str, url: str) -> str:
    """`url` with the scheme that goes with the module, where it has none: the exporter's targets are often bare.

    Raises:
        ValueError: the module is for something else.
    """
    schemes = MODULES[name][0]
    scheme, found, _ = url.partition("://")
    if not found:
        return f"{schemes[0]}://{url}"
    if scheme.lower() not in schemes:
        raise ValueError(f"module: {name} is for {' and '.join(schemes)}, and the url is {scheme}://")
    return url
