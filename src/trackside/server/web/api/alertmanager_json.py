"""Alerts, groups and silences as the Alertmanager API writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.silences.silence import Silence
from trackside.server.alerting.views import AlertView, GroupView
from trackside.server.fingerprint import fingerprint
from trackside.server.web.api.times import rfc3339

Json = dict[str, object]


def alert_json(view: AlertView) -> Json:
    alert, mute = view.alert, view.mute
    is_muted = bool(mute) or bool(view.muted_by)
    content: Json = {
        "annotations": alert.annotations.as_dict(),
        "endsAt": rfc3339(view.ends_ms),
        "fingerprint": fingerprint(alert.labels),
        "receivers": [{"name": name} for name in view.receivers],
        "startsAt": rfc3339(alert.started_ms),
        "status": {
            "inhibitedBy": [] if mute.inhibited_by is None else [fingerprint(mute.inhibited_by)],
            "mutedBy": list(view.muted_by),
            "silencedBy": list(mute.silenced_by),
            "state": "suppressed" if is_muted else "active",
        },
        "updatedAt": rfc3339(view.updated_ms),
        "labels": alert.labels.as_dict(),
    }
    if alert.generator_url:
        content["generatorURL"] = alert.generator_url
    return content


def group_json(view: GroupView, alerts: Iterable[AlertView]) -> Json:
    return {
        "alerts": [alert_json(alert) for alert in alerts],
        "labels": view.labels.as_dict(),
        "receiver": {"name": view.receiver},
    }


def silence_json(silence: Silence, now_ms: int) -> Json:
    content: Json = {
        "id": silence.silence_id,
        "status": {"state": silence.state(now_ms).value},
        "updatedAt": rfc3339(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339(silence.ends_ms),
        "matchers": [_matcher_json(one) for one in silence.matchers],
        "startsAt": rfc3339(silence.starts_ms),
    }
    if silence.annotations:
        content["annotations"] = silence.annotations.as_dict()
    if silence.recurrence:
        content["recurrence"] = json.loads(silence.recurrence.text)
    return content


def receiver_json(name: str, labels: Labels) -> Json:
    return {"name": name, "labels": labels.as_dict()}


def _matcher_json(one: Matcher) -> Json:
    return {
        "isEqual": one.op in (MatchOp.EQUAL, MatchOp.REGEX),
        "isRegex": one.op in (MatchOp.REGEX, MatchOp.NOT_REGEX),
        "name": one.name,
        "value": one.value,
    }
