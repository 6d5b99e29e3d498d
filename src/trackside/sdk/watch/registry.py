"""Which adapter watches a thing: the first of ours that fits by type, else one that another package brings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import cast

from trackside.model.cheap_typing import NamedTuple
from trackside.sdk.watch.context import WatchContext

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Adapter = Callable[[object, WatchContext], object | None]
"""Instruments a thing in place and returns it, or returns what stands for it; None when it is not of its kind."""

ENTRY_POINTS = "trackside.watch"


class BuiltIn(NamedTuple):
    module: str
    """Of the adapter, in this package."""
    watches: str
    """In the plural, for the sentence that says what can be watched."""
    types: tuple[tuple[str, str], ...] = ()
    """(module, class) that it fits. Looked up among what the application has imported already; none is any type."""

    def fits(self, thing: object) -> bool:
        kinds = [getattr(sys.modules.get(module), name, None) for module, name in self.types]
        return not self.types or any(isinstance(kind, type) and isinstance(thing, kind) for kind in kinds)

    def adapter(self) -> Adapter:
        return cast(Adapter, import_module(f"trackside.sdk.watch.{self.module}").watch)


BUILT_IN = (
    BuiltIn("fastapi", "FastAPI applications", (("fastapi.applications", "FastAPI"),)),
    BuiltIn("starlette", "Starlette applications", (("starlette.applications", "Starlette"),)),
    BuiltIn("litestar", "Litestar applications", (("litestar.app", "Litestar"),)),
    BuiltIn("flask", "Flask applications", (("flask.app", "Flask"),)),
    BuiltIn(
        "django",
        "Django applications",
        (("django.core.handlers.asgi", "ASGIHandler"), ("django.core.handlers.wsgi", "WSGIHandler")),
    ),
    BuiltIn(
        "sqlalchemy",
        "SQLAlchemy engines",
        (("sqlalchemy.engine.base", "Engine"), ("sqlalchemy.ext.asyncio.engine", "AsyncEngine")),
    ),
    BuiltIn(
        "psycopg",
        "psycopg connections and pools",
        (
            ("psycopg", "Connection"),
            ("psycopg", "AsyncConnection"),
            ("psycopg_pool", "ConnectionPool"),
            ("psycopg_pool", "AsyncConnectionPool"),
        ),
    ),
    BuiltIn("asyncpg", "asyncpg connections and pools", (("asyncpg", "Connection"), ("asyncpg", "Pool"))),
    # Before Redis: its pools are clients of redis-py.
    BuiltIn("arq", "arq workers and pools", (("arq.worker", "Worker"), ("arq.connections", "ArqRedis"))),
    BuiltIn(
        "redis",
        "redis-py clients",
        (
            ("redis.client", "Redis"),
            ("redis.cluster", "RedisCluster"),
            ("redis.asyncio.client", "Redis"),
            ("redis.asyncio.cluster", "RedisCluster"),
        ),
    ),
    BuiltIn("pymongo", "MongoDB clients", (("pymongo", "MongoClient"), ("pymongo", "AsyncMongoClient"))),
    BuiltIn("httpx", "httpx clients", (("httpx", "Client"), ("httpx", "AsyncClient"))),
    BuiltIn("requests", "requests sessions", (("requests.sessions", "Session"),)),
    BuiltIn("aiohttp", "aiohttp client sessions", (("aiohttp.client", "ClientSession"),)),
    BuiltIn(
        "anthropic",
        "Anthropic clients",
        tuple(
            ("anthropic", f"{asynchronous}{name}")
            for name in (
                "Anthropic",
                "AnthropicBedrock",
                "AnthropicBedrockMantle",
                "AnthropicVertex",
                "AnthropicFoundry",
            )
            for asynchronous in ("", "Async")
        ),
    ),
    BuiltIn("openai", "OpenAI clients", (("openai", "OpenAI"), ("openai", "AsyncOpenAI"))),
    BuiltIn(
        "mcp",
        "MCP servers",
        (
            ("mcp.server.mcpserver", "MCPServer"),
            ("mcp.server.fastmcp", "FastMCP"),
            ("mcp.server.lowlevel.server", "Server"),
        ),
    ),
    BuiltIn(
        "rq",
        "RQ workers and queues",
        (("rq.worker", "BaseWorker"), ("rq.worker", "Worker"), ("rq.queue", "Queue")),
    ),
    BuiltIn("celery", "Celery applications", (("celery.app.base", "Celery"),)),
    BuiltIn("dramatiq", "dramatiq brokers", (("dramatiq.broker", "Broker"),)),
    BuiltIn("apscheduler", "APScheduler schedulers", (("apscheduler.schedulers.base", "BaseScheduler"),)),
    BuiltIn("event_loop", "asyncio event loops", (("asyncio.events", "AbstractEventLoop"),)),
    BuiltIn("asgi", "ASGI callables"),
    BuiltIn("wsgi", "WSGI callables"),
)


def watch(thing: object, context: WatchContext) -> object:
    """`thing`, or what takes its place. As it is, when a package is to watch it that cannot.

    Raises:
        TypeError: nobody here can watch it.
    """
    for built_in in BUILT_IN:
        watched = built_in.adapter()(thing, context) if built_in.fits(thing) else None
        if watched is not None:
            return watched
    if context.requests is None:
        # Metrics are off: what others bring is not even imported, so that nobody knows what they would watch.
        return thing
    is_broken = False
    for entry_point in _foreign_adapters():
        try:
            adapter: Adapter = entry_point.load()
            watched = adapter(thing, context)
        except Exception as error:  # noqa: BLE001 - a broken plugin must not keep the application from starting
            _complain(entry_point, error, context)
            is_broken = True
            continue
        if watched is not None:
            return watched
    if is_broken:
        # It may be the one that would have watched this.
        return thing
    raise TypeError(_refusal(thing))


def _foreign_adapters() -> list[EntryPoint]:
    # Reads the metadata of every installed package, so only when nothing else is left to ask.
    from importlib.metadata import entry_points  # noqa: PLC0415 - costs more than all else we import

    return list(entry_points(group=ENTRY_POINTS))


def _complain(entry_point: EntryPoint, error: Exception, context: WatchContext) -> None:
    context.registry.count_error("plugin")
    package = entry_point.dist.name if entry_point.dist is not None else "a package without a name"
    text = (
        "the plugin %r (%s, brought by %s) failed: %r; what it is for is not measured. Install what it needs or a"
        " version that works, or uninstall %s; further failures of it are only counted (trackside_sdk_errors_total)"
    )
    about = (entry_point.name, entry_point.value, package, error, package)
    context.registry.cells.complaints.once(("plugin", entry_point.name), text, *about, error=error)


def _refusal(thing: object) -> str:
    *names, last = (built_in.watches for built_in in BUILT_IN)
    hint = ""
    if callable(thing):
        hint = (
            "; an ASGI callable is asynchronous and takes (scope, receive, send), a WSGI callable is not and takes"
            " (environ, start_response), and the signature of this one says neither"
        )
    return f"cannot watch {thing!r} ({type(thing).__qualname__}): Trackside watches {', '.join(names)} and {last}{hint}"
