"""The charts of notifications on this server: who draws them, where they are fetched, what they go with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from trackside.instruments.registry import Registry
from trackside.model.rules import RuleGroupStatus
from trackside.server.backend import MetricsBackend
from trackside.server.charts.gallery import Gallery
from trackside.server.clock import Clock
from trackside.server.config import ServerConfig
from trackside.server.db.database import Database
from trackside.server.receivers.illustrations import Illustrator
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.runbooks.shelf import Shelf
from trackside.server.web.charts import ChartRoutes

RUNBOOKS_MS = 60_000
"""How often it is looked for runbooks that are new."""


class Charting:
    """Lives on the event loop, and outlives the configuration."""

    def __init__(
        self, db: Database, backend: MetricsBackend, clock: Clock, registry: Registry, external_url: str
    ) -> None:
        self._clock = clock
        gallery = Gallery(db, external_url, clock.now_ms)
        self._web = ChartRoutes(gallery, clock.now_ms)
        self._illustrator = Illustrator(backend, clock.now_ms, gallery)
        self.illustrate = self._illustrator.of
        self._with_runbook: frozenset[str] = frozenset()
        registry.add_collector(self._illustrator.families)

    def templates(self, config: ServerConfig) -> NotificationTemplates:
        """What notifications say: in our words, unless the file is an Alertmanager's."""
        ours = not config.stands_for_alertmanager
        return NotificationTemplates(config.templates, self._clock.now_ms, ours=ours, has_runbook=self._has_runbook)

    def learn(self, shelf: Shelf, groups: Sequence[RuleGroupStatus]) -> None:
        """Which alerts have a runbook: a message links to its page here, and must not wait for files."""
        rules = [rule for group in groups for rule in group.rules if rule.kind == "alerting"]
        found = (rule.name for rule in rules if shelf.find(rule.name, rule.annotations.as_dict()) is not None)
        self._with_runbook = frozenset(found)

    def routes(self) -> list[BaseRoute]:
        return self._web.routes()

    def open_to_all(self, published: Callable[[str], bool]) -> Callable[[str], bool]:
        """What everybody may see: what is published, and the pictures whose address they were given."""
        return lambda path: published(path) or self._web.published(path)

    def _has_runbook(self, name: str) -> bool:
        return name in self._with_runbook
