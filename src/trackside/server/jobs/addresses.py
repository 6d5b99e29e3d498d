"""Where a source of jobs is: as the configuration says, or the file that it names."""

from __future__ import annotations

from pathlib import Path

from trackside.exceptions import ConfigError
from trackside.server.jobs.config import JobSourceConfig


def url_of(config: JobSourceConfig, folder: Path) -> str:
    """To look at the source.

    Raises:
        ConfigError: it stands in a file that cannot be read.
    """
    return _url(config.url.get_secret_value(), config.url_file, folder)


def acting_url_of(config: JobSourceConfig, folder: Path) -> str:
    """To change it; "" where nobody may.

    Raises:
        ConfigError: it stands in a file that cannot be read.
    """
    return _url(config.act_url.get_secret_value(), config.act_url_file, folder)


def _url(given: str, file: str, folder: Path) -> str:
    if given or not file:
        return given
    path = folder / file
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not text:
        raise ConfigError(f"{path}: is empty; expected an address")
    return text
