"""Templates within values of any shape: each text is rendered, and what then reads as another value becomes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from trackside.exceptions import ConfigError
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.yamlfile import parse_yaml

MAX_YAML = 64 << 10
"""Characters. A longer text that is no JSON stays text."""


def rendered(value: object, texts: NotificationTexts) -> object:
    if isinstance(value, str):
        return _value(texts.render(value))
    if isinstance(value, Mapping):
        return {texts.render(str(name)): rendered(inner, texts) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rendered(inner, texts) for inner in value]
    return value


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError:
        pass
    except RecursionError:
        return text
    # What alerts say is not ours: no references, by which a short text can mean a long one.
    if len(text) > MAX_YAML or "&" in text or "*" in text:
        return text
    try:
        found = parse_yaml(text, "").tree
    except ConfigError:
        return text
    if isinstance(found, float) and not math.isfinite(found):
        return text
    return found if isinstance(found, bool | int | float | dict | list | None) else text


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
