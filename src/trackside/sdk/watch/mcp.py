"""Watches MCP servers: how often each tool is called, how long it takes, and how it ends.

Of mcp 2 by its middleware; of mcp 1 by the table of request handlers, which decorators may fill at any time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any

from trackside.instruments.measured import OVERFLOW
from trackside.sdk.ai.tokens import field
from trackside.sdk.families.maker import Maker
from trackside.sdk.watch.context import WatchContext

UNKNOWN = "(unknown)"
"""Clients, and the models that drive them, ask for tools that do not exist."""
MAX_TOOLS = 200
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_NAME_LENGTH = 100

ListTools = Callable[[], Awaitable[Iterable[Any]]]


def watch(thing: object, context: WatchContext) -> object | None:
    server: Any = thing
    if context.requests is None:
        return thing
    metrics = context.shared.the(ToolMetrics, lambda: ToolMetrics(Maker.of(context)))
    # The server that is told its tools has a public method to list them; below it is the one that knows handlers only.
    list_tools = None if hasattr(server, "create_initialization_options") else server.list_tools
    tools = Tools(metrics, list_tools)
    middleware = getattr(server, "middleware", None)
    if isinstance(middleware, list):
        middleware.append(_middleware(tools))
        return thing
    below = getattr(server, "_mcp_server", server)
    handlers = getattr(below, "request_handlers", None)
    if not isinstance(handlers, dict):
        return None
    below.request_handlers = _Handlers(tools, handlers)
    return thing


class ToolMetrics:
    def __init__(self, make: Maker) -> None:
        self.guard = make.guard
        self.calls = make.counter("mcp_tool_calls_total", "Calls of tools, by how they ended.", ("tool", "outcome"))
        self.durations = make.histogram("mcp_tool_duration_seconds", "Time a tool took.", ("tool",), SECONDS)


class Tools:
    """Of one server: knows which names are tools. Its methods never raise."""

    def __init__(self, metrics: ToolMetrics, list_tools: ListTools | None) -> None:
        self._metrics = metrics
        self._list_tools = list_tools
        self._known: set[str] = set()

    async def called(self, name: object, call: Awaitable[Any]) -> Any:
        began_s = perf_counter()
        outcome = "error"
        try:
            result = await call
            outcome = "success"
            with self._metrics.guard.shielded("read the answer of a tool"):
                outcome = "error" if _is_error(result) else "success"
            return result
        except Exception:
            raise
        except BaseException:
            outcome = "cancelled"
            raise
        finally:
            took_s = perf_counter() - began_s
            with self._metrics.guard.shielded("count a call of a tool"):
                tool = await self._label(name, outcome)
                self._metrics.calls.labels(tool, outcome).inc()
                self._metrics.durations.labels(tool).observe(took_s)

    def learn(self, tools: object) -> None:
        """From an answer that lists tools."""
        with self._metrics.guard.shielded("read a list of tools"):
            for tool in tools if isinstance(tools, Iterable) else ():
                self._learn(field(tool, "name"))

    def _learn(self, name: object) -> None:
        if isinstance(name, str) and len(self._known) < MAX_TOOLS:
            self._known.add(name[:_NAME_LENGTH])

    async def _label(self, name: object, outcome: str) -> str:
        if not isinstance(name, str):
            return UNKNOWN
        label = name[:_NAME_LENGTH]
        if label in self._known:
            return label
        if self._list_tools is not None:
            found = {field(tool, "name") for tool in await self._list_tools()}
            if name not in found:
                return UNKNOWN
        elif outcome != "success":
            # A server of handlers has no list to ask. What it has listed to clients, and what has worked, is a tool.
            return UNKNOWN
        self._learn(name)
        return label if label in self._known else OVERFLOW


def _middleware(tools: Tools) -> Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]:
    async def measure(ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if ctx.method == "tools/call":
            return await tools.called(field(ctx.params, "name"), call_next(ctx))
        result = await call_next(ctx)
        if ctx.method == "tools/list":
            tools.learn(field(result, "tools"))
        return result

    return measure


class _Handlers(dict[type, Any]):
    """By type of request."""

    def __init__(self, tools: Tools, handlers: dict[type, Any]) -> None:
        super().__init__()
        self._tools = tools
        for kind, handler in handlers.items():
            self[kind] = handler

    def __setitem__(self, kind: type, handler: Any) -> None:
        super().__setitem__(kind, self._measured(kind.__name__, handler))

    def _measured(self, kind: str, handler: Any) -> Any:
        tools = self._tools

        async def call_tool(request: Any) -> Any:
            return await tools.called(request.params.name, handler(request))

        async def list_tools(request: Any) -> Any:
            result = await handler(request)
            tools.learn(field(field(result, "root"), "tools"))
            return result

        return {"CallToolRequest": call_tool, "ListToolsRequest": list_tools}.get(kind, handler)


def _is_error(result: Any) -> bool:
    """Of the answer to a call: a model of either version, wrapped or not, or what goes over the wire."""
    inner = field(result, "root") or result
    return any(field(inner, name) is True for name in ("isError", "is_error"))
