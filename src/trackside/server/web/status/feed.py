"""Incidents as an Atom feed, and the whole page as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from trackside.server.status.model import DAY_MS, Incident, State, StatusView

IN_THE_FEED = 50
STATE_WORDS = {
    State.UP: "All systems work",
    State.DEGRADED: "Some systems work less well",
    State.DOWN: "Some systems do not work",
    State.MAINTENANCE: "Some systems are in maintenance",
    State.UNKNOWN: "The state is not known",
}


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def atom(view: StatusView, address: str) -> bytes:
    """`address`: of the page, without a trailing slash."""
    incidents = [*view.open, *view.planned, *view.past][:IN_THE_FEED]
    newest_ms = max((one.updates[-1].at_ms for one in incidents), default=0)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{_text(view.title)}</title>",
        f"<id>{_text(address)}</id>",
        f'<link rel="alternate" type="text/html" href={quoteattr(address)}/>',
        f'<link rel="self" type="application/atom+xml" href={quoteattr(address + "/feed.atom")}/>',
        f"<updated>{moment(newest_ms)}</updated>",
        f"<author><name>{_text(view.title)}</name></author>",
        *(_entry(one, address) for one in incidents),
        "</feed>",
    ]
    return "\n".join(lines).encode()


def _entry(incident: Incident, address: str) -> str:
    link = f"{address}#incident-{incident.id}"
    told = "".join(
        f"<p><strong>{escape(update.state.value.capitalize())}</strong>, {moment(update.at_ms)}: "
        f"{escape(update.text)}</p>"
        for update in reversed(incident.updates)
    )
    return "\n".join(
        (
            "<entry>",
            f"<title>{_text(incident.title)} ({incident.state.value})</title>",
            f"<id>{_text(link)}</id>",
            f'<link rel="alternate" type="text/html" href={quoteattr(link)}/>',
            f"<published>{moment(incident.updates[0].at_ms)}</published>",
            f"<updated>{moment(incident.updates[-1].at_ms)}</updated>",
            f'<content type="html">{_text(told)}</content>',
            "</entry>",
        )
    )


def _text(text: str) -> str:
    # XML has no way to write most control characters.
    return escape("".join(char for char in text if char >= " " or char in "\n\t"))


def as_json(view: StatusView) -> bytes:
    document = {
        "title": view.title,
        "status": view.state.value,
        "sentence": STATE_WORDS[view.state],
        "as_of": moment(view.as_of_ms),
        "components": [
            {
                "name": component.name,
                "group": component.group,
                "description": component.description,
                "status": component.state.value,
                "uptime": component.up_share,
                "days": [
                    {
                        "date": moment(day.day * DAY_MS)[:10],
                        "status": day.state.value,
                        "minutes": {
                            "up": day.minutes.up,
                            "degraded": day.minutes.degraded,
                            "down": day.minutes.down,
                            "maintenance": day.minutes.maintenance,
                        },
                    }
                    for day in component.days
                ],
            }
            for component in view.components
        ],
        "incidents": _incidents([*view.open, *view.past]),
        "scheduled_maintenance": _incidents(view.planned),
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _incidents(incidents: Sequence[Incident]) -> list[dict[str, object]]:
    return [
        {
            "id": one.id,
            "title": one.title,
            "impact": one.impact,
            "status": one.state.value,
            "components": list(one.components),
            "starts": moment(one.starts_ms),
            "ends": None if one.ends_ms is None else moment(one.ends_ms),
            "updates": [
                {"at": moment(update.at_ms), "status": update.state.value, "text": update.text}
                for update in one.updates
            ],
        }
        for one in incidents
    ]
