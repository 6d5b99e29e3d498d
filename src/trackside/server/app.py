"""The composition root: the only module that knows every subsystem, read top to bottom."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from trackside.exceptions import ConfigError
from trackside.instruments.process_metrics import process_families
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, NotificationRecord
from trackside.model.labels import Labels
from trackside.server.access.admission import Admission
from trackside.server.access.keys import Keys
from trackside.server.access.provider_keys import ProviderKeys
from trackside.server.access.tokens import Tokens
from trackside.server.alerting.dispatcher import AlertingOptions, AlertingPorts, Dispatcher
from trackside.server.alerting.routing import TELLS_NOBODY
from trackside.server.alerting.sender import Integration
from trackside.server.backtest.desk import BacktestDesk, Surroundings
from trackside.server.backtest.tellers import telling_of
from trackside.server.charting import RUNBOOKS_MS, Charting
from trackside.server.clock import Clock
from trackside.server.config import ServerConfig, load_config, masked
from trackside.server.db.data_dir import DATABASE, DataDir
from trackside.server.db.database import Database
from trackside.server.handover.alertmanagers import Alertmanagers
from trackside.server.handover.config import anchored
from trackside.server.handover.dead_mans_switch import Cycle, DeadMansSwitch
from trackside.server.jobs.current import TICK_MS, CurrentJobs
from trackside.server.probes.network import Resolve
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.publishing import Known, Publishing
from trackside.server.receivers.clients import Clients
from trackside.server.receivers.clients import http_client as notify_client
from trackside.server.receivers.config import integrations
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.remote_write.receiver import RemoteWriteReceiver
from trackside.server.rules.group import RulePorts, RuleSettings
from trackside.server.rules.groups import RuleGroups
from trackside.server.rules.templates import ExternalFacts
from trackside.server.schedule import Schedule
from trackside.server.scrape.pools import ScrapePools
from trackside.server.scrape.sources import ClientFactory, InProcessSource, http_client
from trackside.server.tsdb.collector import storage_families
from trackside.server.tsdb.store import Tsdb
from trackside.server.watching import Watching, inhibit_rules
from trackside.server.web.console import Console
from trackside.server.web.prefix import under
from trackside.server.web.routes import build_app
from trackside.server.web.rule_facts import shelf_of
from trackside.version import __version__
from trackside.wire import exposition

SEAL_MS = 60_000
RETENTION_MS = 600_000
NOTIFY_MS = 100
SWITCH_MS = 1_000


@dataclass(frozen=True, slots=True)
class Outside:
    """How the server reaches other machines; a test hands in its own."""

    scrape: ClientFactory = http_client
    notify: Callable[[HttpConfig], httpx.AsyncClient] = notify_client
    resolve: Resolve | None = None
    """How probes look up names; None: as the machine does."""


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What is given on the command line."""

    data_dir: Path
    external_url: str
    """Where people reach the server, without a trailing slash."""
    no_auth: bool = False
    resend_delay_ms: int | None = None
    """Until an Alertmanager is told again of an alert that goes on; None: what the configuration says."""
    route_prefix: str = ""
    """The path under which all is served, without a slash at its end."""
    alerting: AlertingOptions = field(default_factory=AlertingOptions)


class App:
    """One server. `start` and `stop` are called on the event loop that serves `asgi`."""

    def __init__(
        self, config: ServerConfig, settings: AppSettings, clock: Clock, outside: Outside | None = None
    ) -> None:
        """
        Raises:
            ConfigError: the data folder cannot be used, or holds what is no database of ours.
        """
        self.config, self.settings, self._clock = config, settings, clock
        outside = outside or Outside()

        # What is kept.
        self._data_dir = DataDir(settings.data_dir)
        self._db = _database(settings.data_dir / DATABASE)
        self.keys = Keys(self._db, settings.data_dir, clock)
        self.admin_key = self.keys.ensure_admin()
        self.admission = Admission(self.keys, clock)
        self.tsdb = Tsdb(self._db, config.root.storage, clock)

        # What is asked.
        self.backend = EmbeddedBackend(Engine(self.tsdb), self.tsdb)

        # What measures ourselves: the server is a target like any other.
        self.registry = Registry()
        self.registry.add_collector(process_families)
        self.registry.add_collector(lambda: storage_families(self.tsdb.stats()))

        # What queues and workers do.
        self.jobs = CurrentJobs(self._db, clock, self.backend)
        self.registry.add_collector(self.jobs.families)

        # What is asked from outside, and who tells that it lives.
        self.watching = Watching(self._db, clock, self.registry, outside.resolve)

        # What comes in, what is concluded from it, and what goes out.
        self.schedule = Schedule()
        own = [("trackside", "self", InProcessSource(self.exposition))]
        self.pools = ScrapePools(self.tsdb, self.schedule, clock, self.registry, outside.scrape, own)
        self.rules = RuleGroups(
            RulePorts(self.backend, self.tsdb, self._db, clock, self.registry), self.schedule, self._told
        )
        self.remote_write = RemoteWriteReceiver(self.tsdb, clock, self.registry)
        self.alertmanagers = Alertmanagers(self.registry)
        self._notify_clients = Clients(outside.notify)
        self._charting = Charting(self._db, self.backend, clock, self.registry, settings.external_url)
        self.dispatcher: Dispatcher | None = None
        self._rules_heard = False
        self.dead_mans_switch = DeadMansSwitch(self.registry, self._cycle())

        # What is shown.
        self.console = self._console()
        self.publishing = self._publishing()
        self.asgi = self._asgi()

    async def start(self, *, on_clock: bool = True) -> None:
        """Put the configuration into force. `on_clock` False: ticks run only when a test asks the schedule to."""
        await self._apply(self.config)
        self.schedule.every(SEAL_MS, self.tsdb.seal, first_ms=self._clock.now_ms() + SEAL_MS)
        self.schedule.every(RETENTION_MS, self.tsdb.enforce_retention, first_ms=self._clock.now_ms() + RETENTION_MS)
        self.schedule.every(NOTIFY_MS, self._notify)
        self.schedule.every(RUNBOOKS_MS, self._look_for_runbooks)
        self.schedule.every(SWITCH_MS, self.dead_mans_switch.tick, first_ms=self._clock.now_ms() + SWITCH_MS)
        self.schedule.every(TICK_MS, self.jobs.tick)
        self.watching.start(self.schedule)
        self.publishing.start(self.schedule)
        if on_clock:
            self.jobs.start()
            self.schedule.start(self._clock)

    async def stop(self) -> None:
        """Last in, first out: nobody may be woken by a target that we stopped asking."""
        await self.schedule.stop()
        await self._stop_telling()
        await self._notify_clients.close()
        await self.alertmanagers.close()
        await self.pools.close()
        await self.jobs.stop()
        await self.watching.close()
        self.backend.close()
        self.tsdb.close()
        self._db.close()
        self._data_dir.release()

    async def reload(self) -> None:
        """Read the configuration again.

        Raises:
            ConfigError: it is wrong; the running one stays in force.
        """
        try:
            config = load_config(self.config.file, self.settings.alerting.syntax)
            await self._apply(config)
        except ConfigError:
            self._note_reload(succeeded=False)
            raise
        self.config = config
        self._note_reload(succeeded=True)

    def _note_reload(self, *, succeeded: bool) -> None:
        if self.dispatcher is not None:
            self.dispatcher.reload_succeeded = succeeded

    def exposition(self) -> bytes:
        """The server's own metrics."""
        return exposition.render(self.registry.collect())

    async def _apply(self, config: ServerConfig) -> None:
        now_ms, root = self._clock.now_ms(), config.root
        # First, since it may find that something cannot be opened.
        folder = config.file.parent if config.file else Path()
        await self.jobs.apply(root.jobs, folder)
        self.watching.apply(root.uptime, root.exporters, folder, self.pools, now_ms)
        await self.publishing.apply(root.status_page, folder, root.global_.scrape_interval)
        self.admission.apply(root.auth, self._tokens(config))
        templates, illustrate = self._charting.templates(config), self._charting.illustrate
        await self.pools.apply(root.global_, root.scrape_configs, now_ms)
        await self.alertmanagers.apply(anchored(root.alerting, folder, self.settings.resend_delay_ms))
        facts = ExternalFacts(self.settings.external_url, Labels.of(root.global_.external_labels))
        settings = RuleSettings(facts, root.global_.evaluation_interval, root.global_.rule_query_offset)
        told = config.notifications
        routing = TELLS_NOBODY if told is None else told.routing
        routing = replace(routing, inhibit_rules=(*routing.inhibit_rules, *inhibit_rules(root.uptime)))
        receivers: dict[str, Sequence[Integration]] = dict.fromkeys(routing.receivers, ())
        for receiver in () if told is None else told.receivers:
            receivers[receiver.name] = integrations(receiver, self._notify_clients.get, templates, illustrate)
        hands_over = not root.alerting.is_embedded
        if self.dispatcher is not None:
            self.dispatcher.apply(routing, receivers, hands_over=self.dispatcher.hands_over)
        else:
            alerting = AlertingPorts(self._db, self._clock, self.registry, self.settings.external_url)
            self.dispatcher = Dispatcher(routing, receivers, alerting, self.settings.alerting)
            self.dispatcher.hands_over = hands_over
        self.dead_mans_switch.apply(root.alerting.dead_mans_switch)
        # After the dispatcher is there, which hears of what fired by a rule that is gone.
        await self.rules.apply(config.rule_groups, now_ms, settings)
        # Only now: what ends with its rule is ended by whoever told of it.
        self.dispatcher.hands_over = hands_over

    def _publishing(self) -> Publishing:
        known = Known(self.rules.statuses, lambda: self.watching.uptime.judgement.doubtful)
        publishing = Publishing(self._db, self.backend, self._clock, known, self.settings.external_url)
        self.registry.add_collector(publishing.families)
        return publishing

    def _asgi(self) -> ASGIApp:
        no_auth, prefix = self.settings.no_auth, self.settings.route_prefix
        open_to_all = self._charting.open_to_all(self.publishing.published)
        app = build_app(self.console, self.admission, self._pages, self, no_auth=no_auth, published=open_to_all)
        return self.publishing.under_domain(app, under(prefix, app))

    def _pages(self) -> Sequence[BaseRoute]:
        from trackside.server.web.pages.all import page_routes  # noqa: PLC0415 - not before somebody looks

        pings, public = self.watching.routes(self.admission), self.publishing.routes(self.console)
        return [*page_routes(self.console), *pings, *public, *self._charting.routes()]

    def _console(self) -> Console:
        return Console(
            backend=self.backend,
            clock=self._clock,
            targets=self.pools.targets,
            rule_groups=self.rules.statuses,
            notifications=self._records,
            started_ms=self._clock.now_ms(),
            version=__version__,
            external_url=self.settings.external_url,
            config_text=lambda: masked(self.config.text, self.config.secrets),
            metadata=self._metadata,
            writes=self.remote_write,
            checks=self.watching.uptime.views,
            heartbeats=self.watching.heartbeats.views,
            check_changes=self.watching.history.changes,
            heartbeat_pings=self.watching.heartbeats.pings,
            doubt=lambda: self.watching.uptime.judgement.sentence,
            jobs=lambda: self.jobs.watch,
            job_actions=lambda: self.jobs.actions,
            alerting=lambda: self.dispatcher,
            stands_for_alertmanager=self.config.stands_for_alertmanager,
            backtests=BacktestDesk(self.tsdb, self._clock, self._surroundings),
        )

    def _surroundings(self) -> Surroundings:
        """What a backtest needs to know."""
        config, general = self.config, self.config.root.global_
        facts = ExternalFacts(self.settings.external_url, Labels.of(general.external_labels))
        told = None if config.notifications is None else telling_of(config.notifications)
        return Surroundings(config.rule_groups, general.evaluation_interval, facts, told)

    def _tokens(self, config: ServerConfig) -> Tokens | None:
        known = config.root.auth.jwt
        if known is None:
            return None
        keys = ProviderKeys(known.keys_url, self._notify_clients.get(HttpConfig()), self._clock)
        try:
            return Tokens(known, keys, self._clock, config.file.parent if config.file else Path())
        except OSError as error:
            raise ConfigError(f"{config.file}: auth.jwt.secret_file cannot be read: {error}") from error

    def _told(self, alerts: Sequence[Alert], now_ms: int, interval_ms: int) -> None:
        self.alertmanagers.offer(alerts, now_ms, interval_ms)
        self.publishing.book.hear(alerts)
        if self.dispatcher is not None:
            self.dispatcher.offer(alerts, now_ms)

    async def _notify(self, now_ms: int) -> int | None:
        if self.dispatcher is None:
            return None
        self._hear_rules(self.dispatcher, now_ms)
        await self.dispatcher.tick(now_ms)
        return self.dispatcher.next_tick_ms(self._clock.now_ms())

    def _hear_rules(self, dispatcher: Dispatcher, now_ms: int) -> None:
        """Once all rules were evaluated since the start, what none of them knows does not fire any more."""
        if self._rules_heard:
            return
        groups = self.rules.statuses()
        if any((one.last_evaluation_ms or 0) < self.console.started_ms for one in groups):
            return
        self._rules_heard = True
        external = Labels.of(self.config.root.global_.external_labels)
        alerts = (alert for group in groups for rule in group.rules for alert in rule.alerts)
        dispatcher.end_unknown({external.merged(alert.labels) for alert in alerts}, now_ms)

    async def _look_for_runbooks(self, now_ms: int) -> None:
        self._charting.learn(await shelf_of(self.console), self.rules.statuses())

    def _cycle(self) -> Cycle:
        async def write(now_ms: int) -> None:
            if self.dispatcher is not None:
                await self.dispatcher.write(now_ms)

        async def get(url: str, timeout_s: float) -> httpx.Response:
            return await self._notify_clients.get(HttpConfig()).get(url, timeout=timeout_s)

        def waiting_since_ms() -> int | None:
            return None if self.dispatcher is None else self.dispatcher.waiting_since_ms()

        return Cycle(self.pools.targets, self.rules.statuses, waiting_since_ms, write, get)

    def _metadata(self) -> dict[str, set[tuple[str, str, str]]]:
        """Family to type, help and unit; several when targets disagree."""
        found: dict[str, set[tuple[str, str, str]]] = {}
        for _, families in self.pools.metadata():
            for name, about in families.items():
                found.setdefault(name, set()).add(about)
        for name, about in self.remote_write.metadata().items():
            found.setdefault(name, set()).add(about)
        return found

    async def _stop_telling(self) -> None:
        if self.dispatcher is not None:
            await self.dispatcher.close()
            self.dispatcher = None

    def _records(self, count: int) -> Sequence[NotificationRecord]:
        return () if self.dispatcher is None else self.dispatcher.records(count)


def _database(path: Path) -> Database:
    try:
        return Database(path)
    except sqlite3.DatabaseError as error:
        raise ConfigError(f"{path} cannot be used as the database: {error}") from error
