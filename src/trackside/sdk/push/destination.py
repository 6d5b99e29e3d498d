"""Where metrics are pushed to, and how we show who we are there."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from trackside.sdk.settings import Settings

SERVER_PATH = "/api/v1/write"


@dataclass(frozen=True, slots=True)
class Destination:
    name: str
    """As a label of what is counted: "trackside", "remote_write"."""
    url: str
    """Without name and password."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, url: str, username: str = "", password: str = "") -> Destination:
        """Name and password may stand in the URL too. A password alone is a bearer token.

        Raises:
            ValueError: no URL of a web server.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"{name}: expected an address such as https://host/api/v1/write to push to; got {_shown(url)!r}"
            )
        username, password = username or parts.username or "", password or parts.password or ""
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        headers = {}
        if username:
            headers["Authorization"] = "Basic " + b64encode(f"{username}:{password}".encode()).decode()
        elif password:
            headers["Authorization"] = f"Bearer {password}"
        return cls(name, bare, headers)


def destinations(
    settings: Settings, refused: Callable[[ValueError], None], *, with_server: bool = True
) -> list[Destination]:
    """Those that the environment names. `refused` is told of one that is no URL; the others are pushed to.

    with_server: TRACKSIDE_URL too. It says where the server is, and that may scrape the application: what is pushed
        there besides is counted twice.
    """
    named = []
    if settings.remote_write_url:
        username, password = settings.remote_write_username, settings.remote_write_password
        named.append(("remote_write", settings.remote_write_url, username, password))
    if settings.server_url and with_server:
        named.append(("trackside", settings.server_url + SERVER_PATH, "", settings.server_key))
    found = []
    for about in named:
        try:
            found.append(Destination.of(*about))
        except ValueError as error:
            refused(error)
    return found


def _shown(url: str) -> str:
    """Without what may be secret in it."""
    before, at, behind = url.partition("?")[0].rpartition("@")
    return before[: before.find("//") + 2] * ("//" in before) + ("***@" if at else "") + behind
