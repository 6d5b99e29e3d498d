"""Heartbeats as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.probes.heartbeats.state import Heartbeat, HeartbeatNow, Status, Trouble

Known = Sequence[tuple[str, Heartbeat, HeartbeatNow, bool]]
"""Name, what is known, how it is now, and whether it is in maintenance."""
GAUGE, COUNTER = MetricType.GAUGE, MetricType.COUNTER

_GAUGES: Mapping[str, tuple[str, Callable[[Heartbeat, HeartbeatNow], float | None]]] = {
    "trackside_heartbeat_up": (
        "Whether the job is as it should be: not missed, not failed, not running for too long.",
        lambda _, now: now.status is not Status.DOWN,
    ),
    "trackside_heartbeat_last_ping_timestamp_seconds": (
        "When the job was last heard.",
        lambda known, _: _seconds(known.last_ping_ms),
    ),
    "trackside_heartbeat_last_success_timestamp_seconds": (
        "When a run of the job last succeeded.",
        lambda known, _: _seconds(known.last_success_ms),
    ),
    "trackside_heartbeat_expected_timestamp_seconds": (
        "When the job is to be heard next, without its grace.",
        lambda _, now: _seconds(now.expected_ms),
    ),
    "trackside_heartbeat_last_duration_seconds": (
        "From start to end, of the last run that told both.",
        lambda known, _: _seconds(known.last_duration_ms),
    ),
    "trackside_heartbeat_running": ("Runs that have started and not ended.", lambda _, now: now.running),
    "trackside_heartbeat_overlapping": ("Whether several runs go on at once.", lambda _, now: now.overlapping),
}


def heartbeat_families(known: Known) -> list[MetricFamily]:
    if not known:
        return []
    of = [(Labels.of(heartbeat=name), heartbeat, now) for name, heartbeat, now, _ in known]
    at_rest = {Labels.of(heartbeat=name) for name, _, _, maintenance in known if maintenance}
    families = [
        _family(name, GAUGE, text, ((labels, value(heartbeat, now)) for labels, heartbeat, now in of))
        for name, (text, value) in _GAUGES.items()
    ]
    return [
        *families,
        _family(
            "trackside_heartbeat_status",
            GAUGE,
            "Which of its states the heartbeat is in.",
            (
                (labels.merged(Labels.of(status=one.value)), one is now.status)
                for labels, _, now in of
                for one in Status
            ),
        ),
        _family(
            "trackside_heartbeat_trouble",
            GAUGE,
            "What is wrong with the heartbeat; nothing while it is in maintenance.",
            (
                (labels.merged(Labels.of(trouble=one.value)), one is now.trouble and labels not in at_rest)
                for labels, _, now in of
                for one in Trouble
                if one is not Trouble.NONE
            ),
        ),
        _family(
            "trackside_heartbeat_maintenance",
            GAUGE,
            "Whether nobody is to be told of its trouble.",
            ((labels, labels in at_rest) for labels, _, _ in of),
        ),
        _family(
            "trackside_heartbeat_runs_total",
            COUNTER,
            "Runs that have ended, by how.",
            (
                (labels.merged(Labels.of(outcome=outcome)), count)
                for labels, heartbeat, _ in of
                for outcome, count in (("success", heartbeat.successes), ("failure", heartbeat.failures))
            ),
        ),
        _family(
            "trackside_heartbeat_overlaps_total",
            COUNTER,
            "Runs that started while another had not ended.",
            ((labels, heartbeat.overlaps) for labels, heartbeat, _ in of),
        ),
    ]


def _family(name: str, kind: MetricType, text: str, values: Iterable[tuple[Labels, float | None]]) -> MetricFamily:
    samples = tuple(Sample(name, labels, float(value)) for labels, value in values if value is not None)
    return MetricFamily(name, kind, text, samples)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
