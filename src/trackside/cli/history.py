"""Where commands find stored metrics: a data folder that no server is using, or any server's API."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from trackside.exceptions import ConfigError
from trackside.server.backend import MetricsBackend
from trackside.server.clock import SystemClock
from trackside.server.db.data_dir import DATABASE, DataDir
from trackside.server.db.database import Database
from trackside.server.lint.gathering import Metadata
from trackside.server.promql.embedded import EmbeddedBackend
from trackside.server.promql.engine import Engine
from trackside.server.remote_backend import RemoteBackend
from trackside.server.storage import Querier
from trackside.server.tsdb.config import StorageConfig
from trackside.server.tsdb.store import Tsdb


@dataclass(frozen=True, slots=True)
class History:
    backend: MetricsBackend
    metadata: Metadata
    querier: Querier | None = None
    """Of a data folder, which can be read more closely than a server can be asked."""


@asynccontextmanager
async def opened(place: str) -> AsyncIterator[History]:
    """`place`: a folder, or a URL that begins with http:// or https://.

    Raises:
        ConfigError: the folder is none of ours, or a server is using it.
        QueryError: the server does not answer.
    """
    if place.startswith(("http://", "https://")):
        key = os.environ.get("TRACKSIDE_KEY", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with httpx.AsyncClient(headers=headers, follow_redirects=True) as client:
            backend = RemoteBackend(place, client)
            yield History(backend, await backend.metadata())
        return
    folder = Path(place)
    if not (folder / DATABASE).is_file():
        raise ConfigError(f"{folder} is no data folder: it holds no {DATABASE}")
    claim = DataDir(folder)
    database = Database(folder / DATABASE)
    store = Tsdb(database, StorageConfig(), SystemClock())
    embedded = EmbeddedBackend(Engine(store), store)
    try:
        yield History(embedded, {}, store)
    finally:
        embedded.close()
        store.close()
        database.close()
        claim.release()
