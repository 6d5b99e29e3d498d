"""Silences in words: what they match, how long they last, when they recur."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trackside.server.alerting.silences.recurrence import Recurrence


def recurrence_words(recurrence: Recurrence) -> str:
    """ "sunday 02:00–04:00"; "" for one that silences all the time."""
    if not recurrence:
        return ""
    return "; ".join(_span_words(span) for span in json.loads(recurrence.text))


def simple_span(recurrence: Recurrence) -> Mapping[str, Any] | None:
    """The only span, if the form has a field for all that it says."""
    if not recurrence:
        return {}
    spans = json.loads(recurrence.text)
    if len(spans) != 1 or set(spans[0]) - {"weekdays", "times", "location"} or len(spans[0].get("times") or ()) > 1:
        return None
    return dict(spans[0]) if all(":" not in str(day) for day in spans[0].get("weekdays") or ()) else None


def _span_words(span: Mapping[str, Any]) -> str:
    parts = [_listed("on", span.get("weekdays")), _listed("on day", span.get("days_of_month"))]
    parts += [_listed("in", span.get("months")), _listed("in", span.get("years"))]
    times = [f"{one['start_time']}–{one['end_time']}" for one in span.get("times") or ()]
    parts.append(" and ".join(times))
    parts.append(f"({span.get('location') or 'UTC'})" if times else "")
    return " ".join(part for part in parts if part) or "always"


def _listed(word: str, values: Sequence[object] | None) -> str:
    if not values:
        return ""
    ranges = (" to ".join(part.capitalize() for part in str(value).split(":")) for value in values)
    return f"{word} " + ", ".join(ranges)
