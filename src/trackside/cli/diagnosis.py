"""What can be told of an application from its health and metrics endpoints, in sentences for whoever has to act."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from trackside.model.durations import format_duration
from trackside.model.metrics import Sample

_LATE_BEATS = 3
_OLD_WORK_S = 60.0
_NEARLY_ALL = 0.9
_MANY_SERIES = 10_000
_SLOW_SCRAPE_S = 2.0


class Severity(IntEnum):
    FINE = 0
    WARNING = 1
    PROBLEM = 2


# Work that waits is no reason to fail; work that stands still, is lost or fails is one.
_OF_VERDICTS = {
    "down": Severity.PROBLEM,
    "high": Severity.PROBLEM,
    "medium": Severity.WARNING,
    "low": Severity.WARNING,
    "calm": Severity.FINE,
}


@dataclass(frozen=True, slots=True)
class Finding:
    severity: Severity
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of one endpoint."""

    status: int
    took_s: float
    json: Any = None


def of_health(ready: Page | None, live: Page | None) -> Iterator[Finding]:
    """Of `/health/ready` and `/health/live`; None: nobody answered."""
    if ready is None or ready.status == 404:
        yield Finding(
            Severity.WARNING, "there is no /health/ready", "Watch the application: monitor.watch(app); or give --health"
        )
        return
    body: Mapping[str, Any] = ready.json if isinstance(ready.json, Mapping) else {}
    errors = body.get("errors")
    errors = errors if isinstance(errors, Mapping) else {}
    severity = Severity.PROBLEM if ready.status >= 400 else Severity.WARNING
    for name, error in errors.items():
        said = str(error)
        yield Finding(severity, said if said.startswith(str(name)) else f"{name}: {said}", _advice(said))
    if ready.status >= 400 and not errors:
        yield Finding(
            Severity.PROBLEM, f"/health/ready answers {ready.status}", f"It says: {body.get('status', 'nothing')}"
        )
    if live is not None and live.status >= 500:
        yield Finding(Severity.PROBLEM, f"/health/live answers {live.status}", "The process should be restarted")
    if not errors and ready.status < 400:
        checks = sorted(name for name, value in body.items() if name != "status" and value is True)
        yield Finding(Severity.FINE, "ready" + (f": {', '.join(checks)}" if checks else ""))


def of_metrics(samples: Sequence[Sample], took_s: float, now_s: float | None = None) -> Iterator[Finding]:
    """Of what `/metrics` shows."""
    figures = _Figures(samples)
    yield from _beats(figures, time.time() if now_s is None else now_s)
    yield from _queues(figures)
    yield from _process(figures)
    lost = figures.total("trackside_sdk_errors_total")
    if lost:
        where = ", ".join(
            sorted({labels["where"] for labels, value in figures.of("trackside_sdk_errors_total") if value})
        )
        yield Finding(
            Severity.WARNING,
            f"{lost:g} times the SDK could not measure something: {where}",
            "The application's log says why, at level WARNING of the logger trackside",
        )
    for labels, value in figures.of("health_check_up"):
        if value == 0 and not figures.known_beat(labels.get("check", "")):
            yield Finding(Severity.PROBLEM, f"the check {labels.get('check')} fails", "/health/ready says why")
    if len(samples) > _MANY_SERIES:
        yield Finding(
            Severity.WARNING,
            f"/metrics shows {len(samples)} series",
            "Which family has most: sort by its name; labels should have few values",
        )
    if took_s > _SLOW_SCRAPE_S:
        yield Finding(Severity.WARNING, f"/metrics takes {took_s:.1f} s", "Look for collectors that ask a database")
    yield Finding(Severity.FINE, f"/metrics shows {len(samples)} series in {took_s * 1000:.0f} ms")


def _beats(figures: _Figures, now_s: float) -> Iterator[Finding]:
    intervals = {labels["beat"]: value for labels, value in figures.of("beat_interval_seconds")}
    for name, every_s in intervals.items():
        last_s = figures.one("beat_last_timestamp_seconds", beat=name)
        expected = f"it should run every {_duration(every_s)}"
        if not last_s:
            yield Finding(
                Severity.PROBLEM,
                f"{name} has never run: {expected}",
                "Was the process started with its background tasks? Look at its command and its first log lines",
            )
        elif now_s - last_s > max(_LATE_BEATS * every_s, 10.0):
            yield Finding(
                Severity.PROBLEM,
                f"{name} has stopped: it last ran {_duration(now_s - last_s)} ago, and {expected}",
                "Look in the log for what it said last",
            )


def _queues(figures: _Figures) -> Iterator[Finding]:
    for labels, value in figures.of("poller_lag_seconds"):
        if value > _OLD_WORK_S:
            waiting = figures.one("poller_waiting", poller=labels["poller"])
            rows = f"{waiting:g} rows wait" if waiting else "rows wait"
            yield Finding(
                Severity.PROBLEM,
                f"{rows} for {labels['poller']}, the oldest for {_duration(value)}",
                "No poller takes them: is one running, and does it reach the database?",
            )
    for labels, value in figures.of("queue_oldest_seconds"):
        if value > _OLD_WORK_S:
            waiting = figures.one("queue_jobs", queue=labels["queue"], state="queued")
            yield Finding(
                Severity.PROBLEM,
                f"{waiting or 0:g} jobs wait in the queue {labels['queue']}, the oldest for {_duration(value)}",
                "Either no worker takes from this queue, or they are too few",
            )
    for labels, value in figures.of("queue_jobs"):
        if labels.get("state") == "dead" and value:
            yield Finding(
                Severity.WARNING,
                f"{value:g} jobs of the queue {labels['queue']} were given up after their last attempt",
                "Their column `error` says why; WorkQueue.revive tries them again",
            )


def _process(figures: _Figures) -> Iterator[Finding]:
    opened, maximum = figures.highest("process_open_fds"), figures.highest("process_max_fds")
    if opened and maximum and opened > _NEARLY_ALL * maximum:
        yield Finding(
            Severity.PROBLEM, f"{opened:g} of {maximum:g} file descriptors are open", "Connections are not closed"
        )
    for labels, in_use in figures.of("db_connections_in_use"):
        most = figures.one("db_connections_max", **labels)
        if most and in_use >= _NEARLY_ALL * most:
            yield Finding(
                Severity.PROBLEM,
                f"{in_use:g} of {most:g} database connections are in use ({labels.get('database', '')})",
                "Requests wait for one: look for long queries, and for sessions that are not closed",
            )


class _Figures:
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._by_name: dict[str, list[tuple[dict[str, str], float]]] = {}
        for sample in samples:
            # With a prefix the family is still the same one.
            self._by_name.setdefault(sample.name, []).append((sample.labels.as_dict(), sample.value))

    def of(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Of the family of this name, also behind a prefix of the application's."""
        if name in self._by_name:
            return self._by_name[name]
        return [row for known, rows in self._by_name.items() if known.endswith(f"_{name}") for row in rows]

    def one(self, name: str, **labels: str) -> float | None:
        found = [value for known, value in self.of(name) if labels.items() <= known.items()]
        return max(found) if found else None

    def highest(self, name: str) -> float | None:
        return self.one(name)

    def total(self, name: str) -> float:
        return sum(value for _, value in self.of(name))

    def known_beat(self, name: str) -> bool:
        return self.one("beat_interval_seconds", beat=name) is not None


def _duration(seconds: float) -> str:
    return format_duration(round(seconds) * 1000) if seconds >= 1 else f"{seconds * 1000:.0f}ms"


def _advice(sentence: str) -> str:
    if "has never run" in sentence:
        return "Was the process started with its background tasks? Look at its command and its first log lines"
    if "has stopped" in sentence:
        return "Look in the log for what it said last"
    return ""


def of_jobs(health: Page) -> Iterator[Finding]:
    """Of a Trackside server: its answer to `/admin/health`, which has the verdicts on jobs, worst first."""
    if health.status in (401, 403):
        yield Finding(Severity.WARNING, "what is known of jobs is told to keys only", "Give --key, or TRACKSIDE_KEY")
        return
    body = health.json if isinstance(health.json, Mapping) else {}
    verdicts = body.get("verdicts")
    for verdict in verdicts if isinstance(verdicts, list) else ():
        sentence = verdict.get("sentence") if isinstance(verdict, Mapping) else None
        if isinstance(sentence, str) and sentence:
            # Before the first look is over nothing is known to be fine.
            is_looking = verdict.get("kind") == "looking"
            severity = _OF_VERDICTS.get("" if is_looking else str(verdict.get("severity")), Severity.WARNING)
            yield Finding(severity, sentence, str(verdict.get("next_step") or ""))


def of_server(rules: Mapping[str, Any], targets: Any) -> Iterator[Finding]:
    """Of a Trackside or Prometheus server: its answers to `/api/v1/rules` and `/api/v1/targets`."""
    for target in _list(targets, "activeTargets"):
        if target.get("health") == "down":
            sentence = f"the target {target.get('scrapeUrl')} is down"
            yield Finding(Severity.PROBLEM, f"{sentence}: {target.get('lastError') or 'no reason given'}")
    for group in _list(rules, "groups"):
        for rule in group.get("rules") or ():
            if rule.get("health") == "err":
                yield Finding(
                    Severity.PROBLEM, f"the rule {rule.get('name')} cannot be evaluated: {rule.get('lastError')}"
                )
            for alert in rule.get("alerts") or ():
                if alert.get("state") == "firing":
                    annotations = alert.get("annotations") or {}
                    said = annotations.get("summary") or annotations.get("description") or ""
                    yield Finding(
                        Severity.PROBLEM, f"the alert {rule.get('name')} fires" + (f": {said}" if said else "")
                    )


def _list(answer: Any, key: str) -> list[Mapping[str, Any]]:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    found = data.get(key) if isinstance(data, Mapping) else None
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
