"""Posting alerts to Alertmanagers: a queue and a sender for each, so that a dead one delays no other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx

from trackside.exceptions import ConfigError
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert
from trackside.model.labels import Labels
from trackside.server.handover.config import AlertingConfig, AlertmanagerConfig
from trackside.server.handover.resend import ENDS_AFTER, Sent, due, message, remembered
from trackside.server.scrape.http_config import HttpClientConfig
from trackside.server.scrape.relabel import relabeled
from trackside.server.scrape.sources import configured_headers, tls_context

QUEUE_CAPACITY = 10_000
"""Alerts that wait for one Alertmanager; beyond it the oldest go: the newest are the truth, and are told again."""
MAX_BATCH = 256
CLOSE_PATIENCE_S = 2.0

Message = dict[str, object]

_log = logging.getLogger("trackside.server")


def posting_client(config: HttpClientConfig) -> httpx.AsyncClient:
    """
    Raises:
        OSError: a certificate or key cannot be read.
    """
    context = tls_context(config.tls_config)
    bypassed = [host.strip() for host in config.no_proxy.split(",") if host.strip()]
    return httpx.AsyncClient(
        verify=context,
        http2=config.enable_http2,
        proxy=config.proxy_url or None,
        mounts={f"all://{host}": httpx.AsyncHTTPTransport(verify=context) for host in bypassed},
        trust_env=config.proxy_from_environment,
    )


class _Metrics:
    def __init__(self, registry: Registry) -> None:
        by_url = ("alertmanager",)
        self.sent = registry.counter(
            "trackside_alertmanager_sent_total", "Alerts that an Alertmanager was asked to take", by_url
        )
        self.errors = registry.counter(
            "trackside_alertmanager_errors_total", "Alerts that an Alertmanager did not take", by_url
        )
        self.dropped = registry.counter(
            "trackside_alertmanager_dropped_total", "Alerts that were not sent, since too many waited", by_url
        )


@dataclass(slots=True, eq=False)
class _Target:
    """One Alertmanager."""

    url: str
    config: AlertmanagerConfig
    client: httpx.AsyncClient
    metrics: _Metrics
    waiting: deque[Message]
    task: asyncio.Task[None] | None = None

    def put(self, messages: Sequence[Message]) -> None:
        lost = max(0, len(self.waiting) + len(messages) - QUEUE_CAPACITY)
        if lost:
            self.metrics.dropped.labels(self.url).inc(lost)
        self.waiting.extend(messages)
        if self.waiting and (self.task is None or self.task.done()):
            self.task = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self.waiting:
            batch = [self.waiting.popleft() for _ in range(min(MAX_BATCH, len(self.waiting)))]
            self.metrics.sent.labels(self.url).inc(len(batch))
            reason = await self._refusal(batch)
            if reason:
                self.metrics.errors.labels(self.url).inc(len(batch))
                _log.warning("alertmanager %s did not take %d alerts: %s", self.url, len(batch), reason)

    async def _refusal(self, batch: Sequence[Message]) -> str:
        """Why the alerts were not taken; "" when they were. They are told again when they are due anyway."""
        server_name = self.config.tls_config.server_name
        try:
            async with asyncio.timeout(self.config.timeout / 1_000):
                response = await self.client.post(
                    self.url,
                    content=json.dumps(batch).encode(),
                    headers={"Content-Type": "application/json", **configured_headers(self.config)},
                    follow_redirects=self.config.follow_redirects,
                    extensions={"sni_hostname": server_name} if server_name else None,
                )
        except TimeoutError:
            return f"no answer within {self.config.timeout / 1_000:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return str(error) or type(error).__name__
        return "" if response.is_success else f"HTTP {response.status_code}"


class Alertmanagers:
    """Offered what fires at each evaluation; tells what is new or due. Belongs to one event loop."""

    def __init__(
        self, registry: Registry, client: Callable[[HttpClientConfig], httpx.AsyncClient] = posting_client
    ) -> None:
        self._metrics = _Metrics(registry)
        self._client = client
        self._config = AlertingConfig()
        self._targets: list[_Target] = []
        self._sent: dict[Labels, Sent] = {}

    async def apply(self, config: AlertingConfig) -> None:
        """
        Raises:
            ConfigError: a certificate or key cannot be read; what was in force stays.
        """
        if config == self._config:
            return
        targets: list[_Target] = []
        try:
            for manager in config.alertmanagers:
                targets += [
                    _Target(url, manager, self._client(manager), self._metrics, deque(maxlen=QUEUE_CAPACITY))
                    for url in manager.urls()
                ]
        except (OSError, ValueError) as error:
            raise ConfigError(f"alerting.alertmanagers: a certificate or key cannot be used: {error}") from error
        await self.close()
        # Whoever is new to it has heard of nothing.
        self._config, self._targets, self._sent = config, targets, {}

    def offer(self, alerts: Sequence[Alert], now_ms: int, interval_ms: int) -> None:
        if not self._targets:
            return
        delay_ms = self._config.resend_delay
        told = [alert for alert in alerts if due(alert, self._sent.get(alert.labels), now_ms, delay_ms)]
        self._sent = remembered(self._sent, alerts, told, now_ms)
        ends_after_ms = ENDS_AFTER * max(delay_ms, interval_ms)
        for target in self._targets:
            rules = (*self._config.alert_relabel_configs, *target.config.alert_relabel_configs)
            labelled = ((alert, relabeled(alert.labels, rules)) for alert in told)
            target.put([message(alert, labels, now_ms, ends_after_ms) for alert, labels in labelled if labels])

    async def drain(self) -> None:
        """Wait until all that waits is sent or refused."""
        for target in self._targets:
            if target.task is not None:
                await target.task

    async def close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_PATIENCE_S):
                await self.drain()
        for target in self._targets:
            if target.task is not None:
                target.task.cancel()
            await target.client.aclose()
        self._targets = []
