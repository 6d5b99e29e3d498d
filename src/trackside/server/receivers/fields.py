"""What the sections of receivers are made of: Alertmanager's kinds of text, secret or not, templates or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr, ValidationInfo

from trackside.server.masking import MASK
from trackside.server.schema import Text

DIRECTORY = "directory"
"""Key of the validators' context: the folder of the configuration file, which relative file names are relative to."""

Template = Text
"""A Go template. That it renders shows only when it is used: so a broken text never keeps a server from starting."""

_YES_AND_NO = ("y", "yes", "on", "n", "no", "off")
_GO_UNITS_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_GO_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_GO_DURATION = re.compile(rf"\+?(?:{_GO_PART.pattern})+")
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[^:\[\]]+)")


def web_address(url: str) -> str:
    """
    Raises:
        ValueError: nothing that can be asked over HTTP.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("expected a URL that begins with http:// or https://")
    if not parts.netloc:
        raise ValueError("expected a URL with a host")
    return url


def _secret_address(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text != MASK:
        web_address(text)
    return secret


def _secret_template(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    return secret if not text or "{{" in text else _secret_address(secret)


def _secret(value: Any) -> Any:
    # Go's YAML library takes any scalar for text, and a number may well be a token.
    if isinstance(value, bool | int | float):
        return str(getattr(value, "source", value))
    return value


def _in_directory(file: str, info: ValidationInfo) -> str:
    directory = info.context.get(DIRECTORY) if isinstance(info.context, Mapping) else None
    return str(Path(directory) / file) if file and directory is not None else file


def _host_port(value: str) -> str:
    if value and not _HOST_PORT.fullmatch(value):
        raise ValueError(f"expected a host and a port, such as smtp.example.org:587, found {value!r}")
    return value


def split_host_port(address: str) -> tuple[str, str]:
    """ "[::1]:25" → ("::1", "25")."""
    found = _HOST_PORT.fullmatch(address)
    return (found["host"].strip("[]"), found["port"]) if found else ("", "")


def joined(address: str, path: str) -> str:
    """The path below an address, however many slashes it ends in."""
    return f"{address.rstrip('/')}/{path.lstrip('/')}"


def _flag(value: Any) -> Any:
    # YAML 1.1, which Alertmanager reads, has more words for it; a word between quotes is text there.
    if isinstance(value, str) and value.lower() in _YES_AND_NO:
        return value.lower() in ("y", "yes", "on")
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _whole(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def _go_duration_ms(value: Any) -> float:
    if value == 0 or value == "0":
        return 0.0
    if not isinstance(value, str) or not _GO_DURATION.fullmatch(value):
        raise ValueError(f"not a duration: {value!r}; expected a number with a unit, such as 300ms, 1.5s or 1m30s")
    return sum(float(number) * _GO_UNITS_MS[unit] for number, unit in _GO_PART.findall(value))


WebUrl = Annotated[Text, AfterValidator(web_address)]
SecretText = Annotated[SecretStr, BeforeValidator(_secret), PlainSerializer(lambda _: MASK, return_type=str)]
SecretUrl = Annotated[SecretText, AfterValidator(_secret_address)]
SecretUrlTemplate = Annotated[SecretText, AfterValidator(_secret_template)]
ConfigFile = Annotated[Text, AfterValidator(_in_directory)]
"""A file that is looked for beside the configuration."""
HostPort = Annotated[Text, AfterValidator(_host_port)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Number = Annotated[int, BeforeValidator(_whole)]
GoDurationMs = Annotated[float, BeforeValidator(_go_duration_ms)]
"""Milliseconds, written as Go does: "300ms", "1.5m"; not "1d"."""


def only_one(section: object, *names: str) -> None:
    """
    Raises:
        ValueError: more than one of these keys has a value.
    """
    given = [name for name in names if getattr(section, name)]
    if len(given) > 1:
        raise ValueError(f"expected at most one of {' and '.join(names)}")


def exactly_one(section: object, *names: str) -> None:
    """
    Raises:
        ValueError: none of these keys has a value, or more than one.
    """
    only_one(section, *names)
    if not any(getattr(section, name) for name in names):
        raise ValueError(f"expected either {' or '.join(f'`{name}`' for name in names)}")
