"""Alerting as metrics: ours, and those of Alertmanager that people's dashboards and rules ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from trackside.exceptions import DeliveryError
from trackside.instruments.registry import Registry
from trackside.model.alerts import AlertState
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.version import __version__

KINDS = (
    "discord",
    "email",
    "incidentio",
    "jira",
    "mattermost",
    "msteams",
    "msteamsv2",
    "opsgenie",
    "pagerduty",
    "pushover",
    "rocketchat",
    "slack",
    "sns",
    "telegram",
    "victorops",
    "webex",
    "webhook",
    "wechat",
)
"""Integrations that Alertmanager shows at zero, so that a rule about them has something to look at."""
SUPPRESSIONS = ("active_time_interval", "inhibition", "mute_time_interval", "silence")


class AlertingMetrics:
    def __init__(self, registry: Registry, *, with_receiver_names: bool = False) -> None:
        by_integration = ("receiver", "integration")
        self.delivered = registry.counter(
            "trackside_notifications_delivered_total", "Notifications a receiver took", by_integration
        )
        self.failed_attempts = registry.counter(
            "trackside_notification_failed_attempts_total", "Attempts to notify that failed", by_integration
        )
        self.given_up = registry.counter(
            "trackside_notifications_given_up_total",
            "Notifications nobody got: refused, or replaced by a newer one before they could be delivered",
            by_integration,
        )
        self.waiting = registry.gauge(
            "trackside_notifications_waiting", "Notifications decided and not delivered yet", by_integration
        )
        self.delivery_seconds = registry.histogram(
            "trackside_notification_delivery_seconds", "How long an attempt to notify took", by_integration
        )
        self.groups = registry.gauge("trackside_alert_groups", "Groups of alerts that are firing or resolving")
        self.state_write_failures = registry.counter(
            "trackside_alerting_state_write_failures_total", "Times the state of alerting could not be written to disk"
        )
        self._alertmanager = _AlertmanagerMetrics(registry, with_receiver_names)

    def decided(self, receiver: str, kind: str) -> None:
        self._alertmanager.notified(receiver, kind)

    def attempted(self, receiver: str, kind: str, seconds: float) -> None:
        self.delivery_seconds.labels(receiver, kind).observe(seconds)
        self._alertmanager.requested(receiver, kind, seconds)

    def failed(self, receiver: str, kind: str, error: DeliveryError) -> None:
        self.failed_attempts.labels(receiver, kind).inc()
        self._alertmanager.failed(receiver, kind, error)

    def suppressed(self, reason: str, alerts: int) -> None:
        self._alertmanager.suppressed.labels(reason).inc(alerts)

    def received(self, states: Sequence[AlertState]) -> None:
        resolved = states.count(AlertState.RESOLVED)
        self._alertmanager.received.labels("resolved").inc(resolved)
        self._alertmanager.received.labels("firing").inc(len(states) - resolved)

    def received_invalid(self) -> None:
        self._alertmanager.invalid.inc()

    def limited(self) -> None:
        self._alertmanager.limited.inc()


class _AlertmanagerMetrics:
    def __init__(self, registry: Registry, with_receiver_names: bool) -> None:
        self._with_receiver_names = with_receiver_names
        labels = ("integration", "receiver_name") if with_receiver_names else ("integration",)
        self._notifications = registry.counter(
            "alertmanager_notifications_total", "Notifications that were decided", labels
        )
        self._failed = registry.counter(
            "alertmanager_notifications_failed_total", "Attempts to notify that failed", (*labels, "reason")
        )
        self._latency = registry.histogram(
            "alertmanager_notification_latency_seconds", "How long an attempt to notify took", labels
        )
        self.suppressed = registry.counter(
            "alertmanager_notifications_suppressed_total",
            "Alerts that were muted when their group was told",
            ("reason",),
        )
        self.received = registry.counter("alertmanager_alerts_received_total", "Alerts that were pushed", ("status",))
        self.invalid = registry.counter("alertmanager_alerts_invalid_total", "Pushed alerts that were refused")
        self.limited = registry.counter(
            "alertmanager_alerts_limited_total", "Pushed alerts that were dropped, being too many of their name"
        )
        if not with_receiver_names:
            for kind in KINDS:
                self._notifications.labels(kind)
                self._latency.labels(kind)
        for reason in SUPPRESSIONS:
            self.suppressed.labels(reason)
        for status in ("firing", "resolved"):
            self.received.labels(status)

    def notified(self, receiver: str, kind: str) -> None:
        self._notifications.labels(*self._names(receiver, kind)).inc()

    def requested(self, receiver: str, kind: str, seconds: float) -> None:
        self._latency.labels(*self._names(receiver, kind)).observe(seconds)

    def failed(self, receiver: str, kind: str, error: DeliveryError) -> None:
        if error.status is not None:
            reason = "serverError" if error.status >= 500 else "clientError"
        else:
            reason = "other" if error.maybe_sent else "serverError" if error.retry else "clientError"
        self._failed.labels(*self._names(receiver, kind), reason).inc()

    def _names(self, receiver: str, kind: str) -> tuple[str, ...]:
        return (kind, receiver) if self._with_receiver_names else (kind,)


def state_families(
    alerts: Mapping[str, int], silences: Mapping[str, int], inhibit_rules: int, reload_succeeded: bool
) -> Iterable[MetricFamily]:
    """What is counted when somebody looks."""
    yield _by_state("alertmanager_alerts", "Alerts by state", alerts)
    yield _by_state("alertmanager_silences", "Silences by state", silences)
    yield _plain("alertmanager_inhibition_rules", "Inhibition rules in force", inhibit_rules)
    yield _plain(
        "alertmanager_config_last_reload_successful",
        "Whether the configuration that was read last is in force",
        reload_succeeded,
    )
    yield MetricFamily(
        "alertmanager_build_info",
        MetricType.GAUGE,
        "The version, for dashboards that ask",
        [Sample("alertmanager_build_info", Labels.of(version=__version__, branch="trackside"), 1.0)],
    )


def _by_state(name: str, help: str, counts: Mapping[str, int]) -> MetricFamily:
    samples = [Sample(name, Labels.of(state=state), float(count)) for state, count in counts.items()]
    return MetricFamily(name, MetricType.GAUGE, help, samples)


def _plain(name: str, help: str, value: float) -> MetricFamily:
    return MetricFamily(name, MetricType.GAUGE, help, [Sample(name, Labels(), float(value))])
