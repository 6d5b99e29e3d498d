"""What a check asks for, as bytes on the wire. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

import httpx

from trackside.server.probes.config import CheckConfig
from trackside.server.probes.network import Endpoint

USER_AGENT = "trackside-probe"
# What is meant for one host is not for the one it points to.
_FOR_ONE_HOST = frozenset(("authorization", "cookie", "host"))
_SECURE = frozenset(("https", "wss"))


def endpoint(url: httpx.URL, ip: str) -> Endpoint:
    return Endpoint(url.raw_host.decode("ascii"), url.port or (443 if over_tls(url) else 80), ip)


def over_tls(url: httpx.URL) -> bool:
    return url.scheme in _SECURE


def own_headers(check: CheckConfig) -> dict[str, str]:
    """Of the configuration, credentials among them."""
    headers = dict(check.headers)
    if check.basic_auth is not None:
        pair = f"{check.basic_auth.username}:{check.basic_auth.password.get_secret_value()}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode("ascii")
    elif token := check.bearer_token.get_secret_value():
        headers["Authorization"] = f"Bearer {token}"
    return headers


def for_other_host(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _FOR_ONE_HOST}


def head(method: str, url: httpx.URL, *headers: Mapping[str, str]) -> bytes:
    """Request line and headers; of two headers of one name, the later one counts."""
    port = "" if url.port is None else f":{url.port}"
    name = url.raw_host.decode("ascii")
    merged = {"host": ("Host", f"[{name}]{port}" if ":" in name else name + port)}
    for several in ({"User-Agent": USER_AGENT, "Accept": "*/*"}, *headers):
        merged |= {key.lower(): (key, value) for key, value in several.items()}
    lines = [
        f"{method} {url.raw_path.decode('ascii')} HTTP/1.1",
        *(f"{key}: {value}" for key, value in merged.values()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
