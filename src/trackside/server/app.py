"""The composition root: the only module that knows every subsystem, read top to bottom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from starlette.applications import Starlette

from trackside import __version__
from trackside.instruments.process_metrics import process_families
from trackside.instruments.registry import Registry
from trackside.model.alerts import NotificationRecord
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.clock import Clock
from trackside.server.config import ServerConfig, load_config
from trackside.server.db.database import Database
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.promql.limits import QueryLimits
from trackside.server.rules.groups import RuleGroups
from trackside.server.schedule import Schedule
from trackside.server.scrape.pools import ScrapePools
from trackside.server.scrape.sources import InProcessSource
from trackside.server.tsdb.store import Tsdb
from trackside.server.web.console import Console
from trackside.server.web.keys import Keys
from trackside.server.web.routes import build_app

DATABASE = "trackside.db"
