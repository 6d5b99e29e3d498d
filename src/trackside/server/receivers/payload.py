"""Alerts as JSON, with Alertmanager's field names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from trackside.model.alerts import Alert, AlertState
from trackside.server.fingerprint import fingerprint

NEVER = "0001-01-01T00:00:00Z"
"""When an alert ends that still fires."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4_096)
def timestamp(milliseconds: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def alert_payload(alert: Alert) -> dict[str, object]:
    resolved = alert.state is AlertState.RESOLVED and alert.resolved_at_ms is not None
    return {
        "status": "resolved" if resolved else "firing",
        "labels": alert.labels.as_dict(),
        "annotations": alert.annotations.as_dict(),
        "startsAt": timestamp(alert.started_ms),
        "endsAt": timestamp(alert.resolved_at_ms) if resolved and alert.resolved_at_ms is not None else NEVER,
        "generatorURL": alert.generator_url,
        "fingerprint": fingerprint(alert.labels),
    }
