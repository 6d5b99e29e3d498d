"""The page as files: the same bytes for a thousand readers, and for a folder that outlives this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trackside.server.status.model import ComponentView, StatusView
from trackside.server.web.figures import availability
from trackside.server.web.status.badge import badge
from trackside.server.web.status.feed import as_json, atom
from trackside.server.web.status.page import Place, status_page

HTML = "text/html; charset=utf-8"
SVG = "image/svg+xml"


@dataclass(frozen=True, slots=True)
class File:
    content_type: str
    made: Callable[[], bytes]


def files(view: StatusView, place: Place) -> Mapping[str, File]:
    """All of them by their name, not yet made; the page itself is `index.html`."""
    found = {
        "index.html": File(HTML, lambda: status_page(view, place)),
        "status.json": File("application/json", lambda: as_json(view)),
        "feed.atom": File("application/atom+xml; charset=utf-8", lambda: atom(view, place.address)),
        "badge.svg": File(SVG, lambda: badge(view.title, view.state.value, view.state)),
    }
    for component in view.components:
        found[f"badges/{component.slug}.svg"] = File(SVG, _of_state(component))
        found[f"badges/{component.slug}-uptime.svg"] = File(SVG, _of_uptime(component, len(component.days)))
    return found


def _of_state(component: ComponentView) -> Callable[[], bytes]:
    return lambda: badge(component.name, component.state.value, component.state)


def _of_uptime(component: ComponentView, days: int) -> Callable[[], bytes]:
    text = availability(component.up_share).replace("\u202f", " ")
    return lambda: badge(f"{component.name}, {days} days", text, component.state)
