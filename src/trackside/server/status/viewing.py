"""From what is kept to what the world may see. Pure: whatever is not put in here is not public."""

from __future__ import annotations

from dataclasses import replace

from trackside.server.status.config import StatusPageConfig
from trackside.server.status.model import (
    DAY_MS,
    ComponentView,
    Incident,
    State,
    StatusView,
)
from trackside.server.status.states import days_view, worst
from trackside.server.status.store import Kept

PAST_INCIDENTS = 100


def view_of(config: StatusPageConfig, kept: Kept, now_ms: int, *, has_logo: bool) -> StatusView:
    components = []
    for component in config.components:
        state, _ = kept.states.get(component.name, (State.UNKNOWN, 0))
        if any(one.hides(component.name, now_ms) for one in kept.incidents):
            state = State.MAINTENANCE
        days, up_share = days_view(kept.days.get(component.name, {}), now_ms // DAY_MS, config.days)
        components.append(
            ComponentView(component.name, component.slug, component.description, component.group, state, days, up_share)
        )
    names = {component.name for component in config.components}
    public = [_public(incident, names) for incident in kept.incidents]
    return StatusView(
        config.title,
        config.description,
        config.site,
        has_logo,
        worst(component.state for component in components),
        tuple(components),
        tuple(one for one in public if one.is_open(now_ms)),
        tuple(sorted((one for one in public if _is_planned(one, now_ms)), key=lambda one: one.starts_ms)),
        tuple(one for one in public if one.state.is_over)[:PAST_INCIDENTS],
        now_ms,
    )


def _is_planned(incident: Incident, now_ms: int) -> bool:
    return not incident.state.is_over and incident.starts_ms > now_ms


def _public(incident: Incident, names: set[str]) -> Incident:
    """Without who wrote it and which alert opened it; only components that still are on the page."""
    return replace(
        incident,
        alert="",
        components=tuple(name for name in incident.components if name in names),
        updates=tuple(replace(update, author="") for update in incident.updates),
    )
