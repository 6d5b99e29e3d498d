"""The picture on the status page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trackside.exceptions import ConfigError

MAX_LOGO_BYTES = 512 << 10
Logo = tuple[bytes, str]
"""Bytes and type."""
LOGO_TYPES: Mapping[str, str] = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}


def read_logo(path: Path) -> Logo:
    """
    Raises:
        ConfigError: there is none, or it is no picture that browsers show.
    """
    content_type = LOGO_TYPES.get(path.suffix.lower())
    if content_type is None:
        raise ConfigError(f"status_page.logo: {path.name}: expected one of {', '.join(LOGO_TYPES)}")
    try:
        if path.stat().st_size > MAX_LOGO_BYTES:
            raise ConfigError(f"status_page.logo: {path.name} is larger than {MAX_LOGO_BYTES >> 10} KiB")
        return path.read_bytes(), content_type
    except OSError as error:
        raise ConfigError(f"status_page.logo: {path} cannot be read: {error.strerror or error}") from error
