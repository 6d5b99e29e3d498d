"""Names of metrics and labels as they stand in an exposition: bare when they may, else quoted or escaped."""

from __future__ import annotations

import re
from functools import lru_cache

_NOT_LEGACY = re.compile(r"[^a-zA-Z0-9_:]")


def is_legacy_metric(name: str) -> bool:
    """Whether a metric's name needs no quotes: the names every scraper understands."""
    return name.isascii() and name.replace(":", "_").isidentifier()


def is_legacy_label(name: str) -> bool:
    return name.isascii() and name.isidentifier()


@lru_cache(maxsize=4096)
def underscored(name: str) -> str:
    """`name` for scrapers that do not take UTF-8 names: "http.status" becomes "http_status"."""
    if is_legacy_metric(name):
        return name
    safe = _NOT_LEGACY.sub("_", name)
    return "_" + safe if not safe or safe[0].isdigit() else safe


def escaped_label_value(value: str) -> str:
    """As it stands between the quotes of a label."""
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return value
