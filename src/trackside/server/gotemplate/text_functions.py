"""Functions on text that rule files and notification templates share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from trackside.server.gotemplate.values import GoFunction
from trackside.server.regex import compiled

_WORD_START = re.compile(r"(^|[^\w'])(\w)")
_GROUP = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+)|)")


def title(text: str) -> str:
    """The first letter of each word in capitals, all others as they are."""
    return _WORD_START.sub(lambda match: match[1] + match[2].upper(), text)


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """`$1`, `${1}` and `${name}` in the replacement stand for groups, as in Go: `$1x` is the group named "1x".

    Raises:
        ValueError: `pattern` is no regular expression.
    """
    parts: list[str] = []
    end = -1
    copied = 0
    for match in compiled(f"(?-s){pattern}").finditer(text):
        # An empty match that abuts the one before it counts in Python, and not in Go.
        if match.start() == match.end() == end:
            continue
        parts += (text[copied : match.start()], _expanded(match, replacement))
        copied = end = match.end()
    return "".join((*parts, text[copied:]))


def _expanded(match: re.Match[str], replacement: str) -> str:
    return _GROUP.sub(lambda reference: _group(match, reference), replacement)


def _group(match: re.Match[str], reference: re.Match[str]) -> str:
    dollar, braced, bare = reference.groups()
    if dollar:
        return "$"
    name = braced or bare
    if name is None:
        return "$"
    try:
        return match[int(name) if name.isdecimal() else name] or ""
    except (IndexError, KeyError):
        return ""


def _matches(pattern: str, text: str) -> bool:
    return compiled(f"(?-s){pattern}").search(text) is not None


_TEXT = ("string",)
TEXT_FUNCTIONS: Mapping[str, GoFunction] = MappingProxyType(
    {
        "toUpper": GoFunction(str.upper, _TEXT),
        "toLower": GoFunction(str.lower, _TEXT),
        "title": GoFunction(title, _TEXT),
        "match": GoFunction(_matches, ("string", "string")),
        "reReplaceAll": GoFunction(replace_all, ("string", "string", "string")),
        # Marks text as safe for HTML pages; what is made here is plain text.
        "safeHtml": GoFunction(str, _TEXT),
    }
)
