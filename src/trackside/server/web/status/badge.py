"""A small picture for somebody else's page: a name, and its state or its uptime. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from trackside.server.status.model import State

# Text on them has a contrast of 4.5 or more.
COLOURS: Mapping[State, str] = {
    State.UP: "#1b7742",
    State.DEGRADED: "#8a5200",
    State.DOWN: "#b4231a",
    State.MAINTENANCE: "#2b5cc7",
    State.UNKNOWN: "#5c626c",
}
_CHAR_WIDTH = 6.6
MAX_CHARS = 60


def badge(left: str, right: str, state: State) -> bytes:
    """SVG. Widths are reckoned from the number of characters, as no font is known here."""
    left, right = left[:MAX_CHARS], right[:MAX_CHARS]
    first, second = (round(len(text) * _CHAR_WIDTH) + 14 for text in (left, right))
    label = escape(f"{left}: {right}", {'"': "&quot;"})
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{first + second}" height="20" role="img" '
        f'aria-label="{label}"><title>{label}</title>'
        f'<clipPath id="r"><rect width="{first + second}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{first}" height="20" fill="#3c424b"/>'
        f'<rect x="{first}" width="{second}" height="20" fill="{COLOURS[state]}"/></g>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{first / 2:g}" y="14">{escape(left)}</text>'
        f'<text x="{first + second / 2:g}" y="14">{escape(right)}</text></g></svg>'
    ).encode()
