"""Alerting as metrics."""

from __future__ import annotations

from trackside.instruments.registry import Registry


class AlertingMetrics:
    def __init__(self, registry: Registry) -> None:
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
