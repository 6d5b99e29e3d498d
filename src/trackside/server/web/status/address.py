"""Where the status page is found on this server."""

from __future__ import annotations

PATH = "/status"


def is_below(path: str) -> bool:
    """Whether it is the page, or belongs to it."""
    return path == PATH or path.startswith(PATH + "/")
