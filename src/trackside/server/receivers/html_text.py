"""How a value goes into HTML: as text that no browser or mail program takes for markup or a script."""

from __future__ import annotations

import re
from html import escape

from trackside.server.gotemplate.values import printed

_LINK = re.compile(r"""(?:href|src|action)\s*=\s*["'][^"'<>]*\Z""", re.I)
_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*):")
_HARMLESS = ("http", "https", "mailto")
REFUSED = "#"
"""In place of an address that is a script."""


class SafeHtml(str):
    """Text that a template says is HTML already."""

    __slots__ = ()


def html_text(value: object, before: str) -> str:
    """`before`: the end of what the page has so far, by which one sees an address."""
    if isinstance(value, SafeHtml):
        return str(value)
    text = printed(value)
    if _LINK.search(before):
        scheme = _SCHEME.match(re.sub(r"[\x00-\x20]", "", text))
        # Only what begins an address can be its scheme.
        if scheme and before[-1] in "\"'" and scheme[1].lower() not in _HARMLESS:
            return REFUSED
    return escape(text)
