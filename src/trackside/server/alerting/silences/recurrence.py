"""When a recurring silence silences: spans of a calendar, written as Alertmanager's time intervals are."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from trackside.server.alerting.time_interval_config import SpanConfig
from trackside.server.alerting.time_intervals import TimeInterval

MAX_SPANS = 100
_SPANS = TypeAdapter(tuple[SpanConfig, ...])

_NEVER = TimeInterval("")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Falsy when it has no spans: then it silences all the time."""

    text: str = ""
    """As it was given, JSON: `[{"weekdays": ["sunday"], "times": [{"start_time": "02:00", "end_time": "04:00"}]}]`."""
    interval: TimeInterval = _NEVER

    def __bool__(self) -> bool:
        return bool(self.interval.spans)

    @classmethod
    def of(cls, spans: object) -> Recurrence:
        """
        Raises:
            ValueError: no list of spans.
        """
        if not spans:
            return cls()
        if not isinstance(spans, list) or len(spans) > MAX_SPANS:
            raise ValueError(f"expected a list of at most {MAX_SPANS} spans, each as in Alertmanager's time_intervals")
        try:
            configs = _SPANS.validate_python(spans)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
        return cls(json.dumps(spans), TimeInterval("", tuple(config.span for config in configs)))

    @classmethod
    def stored(cls, text: str) -> Recurrence:
        return cls.of(json.loads(text)) if text else cls()
