"""The files in which AWS' own tools keep keys by name: `~/.aws/credentials` and `~/.aws/config`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from pathlib import Path

from trackside.exceptions import DeliveryError
from trackside.server.receivers.secret import MAX_BYTES

DEFAULT = "default"
Profile = Mapping[str, str]
_FILES = (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
"""Variable that names another file, and the name below `~/.aws`. What the later one says counts."""


async def read_profiles(environment: Mapping[str, str]) -> Mapping[str, Profile]:
    """By name; none when there are no such files. They are read at each use, since keys are renewed in them.

    Raises:
        DeliveryError: a file cannot be read.
    """
    return await asyncio.to_thread(_read, environment)


def _read(environment: Mapping[str, str]) -> Mapping[str, Profile]:
    profiles: dict[str, dict[str, str]] = {}
    for variable, name in _FILES:
        path = Path(environment.get(variable) or Path(environment.get("HOME", "/")) / ".aws" / name)
        for profile, keys in _sections(path).items():
            profiles.setdefault(profile, {}).update(keys)
    return profiles


def _sections(path: Path) -> Mapping[str, Profile]:
    # No section is for all others, and a "%" in a key is nothing but that.
    parser = ConfigParser(interpolation=None, strict=False, default_section="", allow_no_value=True)
    try:
        with path.open("rb") as file:
            parser.read_string(file.read(MAX_BYTES).decode("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DeliveryError(f"cannot read {path}: {error.strerror}", retry=True) from error
    except (UnicodeDecodeError, IniError):
        # Its own words quote the line, in which a secret may stand.
        raise DeliveryError(f"cannot read {path}: not a file of AWS profiles", retry=True) from None
    return {
        section.removeprefix("profile ").strip(): {name: value or "" for name, value in parser[section].items()}
        for section in parser.sections()
    }
