"""The composition root: the only module that knows every subsystem, read top to bottom."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from trackside.exceptions import ConfigError
from trackside.instruments.process_metrics import process_families
from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, NotificationRecord
from trackside.model.labels import Labels
from trackside.server.access.admission import Admission
from trackside.server.access.keys import Keys
from trackside.server.access.provider_keys import ProviderKeys
from trackside.server.access.tokens import Tokens
from trackside.server.alerting.dispatcher import Dispatcher, Receivers
from trackside.server.clock import Clock
from trackside.server.config import ServerConfig, load_config, masked
from trackside.server.db.data_dir import DataDir
from trackside.server.db.database import Database
from trackside.server.jobs.current import TICK_MS, CurrentJobs
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.receivers.config import integrations
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.remote_write.receiver import RemoteWriteReceiver
from trackside.server.rules.group import RulePorts, RuleSettings
from trackside.server.rules.groups import RuleGroups
from trackside.server.rules.templates import ExternalFacts
from trackside.server.schedule import Schedule
from trackside.server.scrape.pools import ScrapePools
from trackside.server.scrape.sources import ClientFactory, InProcessSource, http_client
from trackside.server.tsdb.collector import storage_families
from trackside.server.tsdb.store import Tsdb
from trackside.server.web.console import Console
from trackside.server.web.pages.all import page_routes
from trackside.server.web.routes import build_app
from trackside.version import __version__
from trackside.wire import exposition

DATABASE = "trackside.db"
SEAL_MS = 60_000
RETENTION_MS = 600_000
NOTIFY_MS = 100


@dataclass(frozen=True, slots=True)
class Outside:
    """How the server reaches other machines; a test hands in its own."""

    scrape: ClientFactory = http_client
    notify: Callable[[], httpx.AsyncClient] = lambda: httpx.AsyncClient(timeout=10)


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What is given on the command line."""

    data_dir: Path
    external_url: str
    """Where people reach the server, without a trailing slash."""
    no_auth: bool = False


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

        # What comes in, what is concluded from it, and what goes out.
        self.schedule = Schedule()
        own = [("trackside", "self", InProcessSource(self.exposition))]
        self.pools = ScrapePools(self.tsdb, self.schedule, clock, self.registry, outside.scrape, own)
        ports = RulePorts(self.backend, self.tsdb, self._db, clock, self.registry)
        self.rules = RuleGroups(ports, self.schedule, self._told)
        self.remote_write = RemoteWriteReceiver(self.tsdb, clock, self.registry)
        self._notify_client = outside.notify()
        self.dispatcher: Dispatcher | None = None

        # What is shown.
        self.console = Console(
            backend=self.backend,
            clock=clock,
            targets=self.pools.targets,
            rule_groups=self.rules.statuses,
            notifications=self._records,
            started_ms=clock.now_ms(),
            version=__version__,
            external_url=settings.external_url,
            config_text=lambda: masked(self.config.text),
            metadata=self._metadata,
            writes=self.remote_write,
            jobs=lambda: self.jobs.watch,
            job_actions=lambda: self.jobs.actions,
        )
        self.asgi = build_app(self.console, self.admission, page_routes(self.console), self, no_auth=settings.no_auth)

    async def start(self, *, on_clock: bool = True) -> None:
        """Put the configuration into force. `on_clock` False: ticks run only when a test asks the schedule to."""
        await self._apply(self.config)
        self.schedule.every(SEAL_MS, self.tsdb.seal, first_ms=self._clock.now_ms() + SEAL_MS)
        self.schedule.every(RETENTION_MS, self.tsdb.enforce_retention, first_ms=self._clock.now_ms() + RETENTION_MS)
        self.schedule.every(NOTIFY_MS, self._notify)
        self.schedule.every(TICK_MS, self.jobs.tick)
        if on_clock:
            self.jobs.start()
            self.schedule.start(self._clock)

    async def stop(self) -> None:
        """Last in, first out: nobody may be woken by a target that we stopped asking."""
        await self.schedule.stop()
        await self._stop_telling()
        await self._notify_client.aclose()
        await self.pools.close()
        await self.jobs.stop()
        self.backend.close()
        self.tsdb.close()
        self._db.close()
        self._data_dir.release()

    async def reload(self) -> None:
        """Read the configuration again.

        Raises:
            ConfigError: it is wrong; the running one stays in force.
        """
        config = load_config(self.config.file)
        await self._apply(config)
        self.config = config

    def exposition(self) -> bytes:
        """The server's own metrics."""
        return exposition.render(self.registry.collect())

    async def _apply(self, config: ServerConfig) -> None:
        now_ms, root = self._clock.now_ms(), config.root
        # First, since it may find that something cannot be opened.
        await self.jobs.apply(root.jobs, config.file.parent if config.file else Path())
        self.admission.apply(root.auth, self._tokens(config))
        templates = NotificationTemplates(config.templates, self._clock.now_ms)
        await self.pools.apply(root.global_, root.scrape_configs, now_ms)
        facts = ExternalFacts(self.settings.external_url, Labels.of(root.global_.external_labels))
        await self.rules.apply(config.rule_groups, now_ms, RuleSettings(facts, root.global_.evaluation_interval))
        receivers: Receivers = {
            receiver.name: integrations(receiver, self._notify_client, templates) for receiver in root.receivers
        }
        if root.route is None:
            await self._stop_telling()
        elif self.dispatcher is not None:
            self.dispatcher.apply(root.route, receivers)
        else:
            self.dispatcher = Dispatcher(
                root.route, receivers, self._db, self._clock, self.registry, self.settings.external_url
            )

    def _tokens(self, config: ServerConfig) -> Tokens | None:
        known = config.root.auth.jwt
        if known is None:
            return None
        keys = ProviderKeys(known.keys_url, self._notify_client, self._clock)
        try:
            return Tokens(known, keys, self._clock, config.file.parent if config.file else Path())
        except OSError as error:
            raise ConfigError(f"{config.file}: auth.jwt.secret_file cannot be read: {error}") from error

    def _told(self, alerts: Sequence[Alert], now_ms: int) -> None:
        if self.dispatcher is not None:
            self.dispatcher.offer(alerts, now_ms)

    async def _notify(self, now_ms: int) -> None:
        if self.dispatcher is not None:
            await self.dispatcher.tick(now_ms)

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
