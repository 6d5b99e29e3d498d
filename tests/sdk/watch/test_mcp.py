import asyncio
import logging
from importlib.util import find_spec

import pytest

from trackside.sdk.watch.mcp import MAX_TOOLS

IS_V2 = find_spec("mcp.server.mcpserver") is not None

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def high_level():
    """A server that is told its functions, with one that works, one that fails and one that waits."""
    if IS_V2:
        from mcp.server.mcpserver import MCPServer as Server
    else:
        from mcp.server.fastmcp import FastMCP as Server
    server = Server("shop")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool()
    def fail() -> str:
        raise ValueError("no")

    @server.tool()
    async def wait() -> str:
        await asyncio.sleep(0.05)
        return "done"

    return server


SCHEMA = {"type": "object", "properties": {}}


def low_level(work, names=("echo", "fail"), *, before=lambda server: None):
    """A server of handlers: `work` gets the name of the tool and returns a text or raises."""
    if IS_V2:
        import mcp_types as types
        from mcp.server.lowlevel import Server

        async def list_tools(ctx, params):
            return types.ListToolsResult(tools=[types.Tool(name=name, input_schema=SCHEMA) for name in names])

        async def call_tool(ctx, params):
            try:
                return types.CallToolResult(content=[types.TextContent(type="text", text=work(params.name))])
            except ValueError as error:
                return types.CallToolResult(content=[types.TextContent(type="text", text=str(error))], is_error=True)

        server = Server("shop", on_list_tools=list_tools, on_call_tool=call_tool)
        before(server)
        return server
    import mcp.types as types
    from mcp.server.lowlevel import Server

    server = Server("shop")
    before(server)

    @server.list_tools()
    async def list_tools():
        return [types.Tool(name=name, inputSchema=SCHEMA) for name in names]

    @server.call_tool()
    async def call_tool(name, arguments):
        return [types.TextContent(type="text", text=work(name))]

    return server


def echo(name):
    if name == "fail" or name.startswith("made-up"):
        raise ValueError("no")
    return name


def use(server, *steps):
    """Each step is the name of a tool with its arguments, or None for the list of tools. The texts that came back."""

    async def with_session():
        if IS_V2:
            from mcp import Client

            async with Client(server) as client:
                return [await step_of(client, step) for step in steps]
        from mcp.shared.memory import create_connected_server_and_client_session

        async with create_connected_server_and_client_session(getattr(server, "_mcp_server", server)) as client:
            return [await step_of(client, step) for step in steps]

    async def step_of(client, step):
        if step is None:
            return [tool.name for tool in (await client.list_tools()).tools]
        try:
            result = await client.call_tool(*step)
        except Exception as error:
            return type(error).__name__
        return result.content[0].text if result.content else ""

    return asyncio.run(with_session())


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def calls():
    """{(tool, outcome): number}"""

    def calls(monitor):
        return {
            (sample.labels.get("tool"), sample.labels.get("outcome")): sample.value
            for family in monitor.registry.collect()
            if family.name == "mcp_tool_calls_total"
            for sample in family.samples
        }

    return calls


@pytest.fixture
def durations():
    """{tool: number of calls measured}"""

    def durations(monitor):
        return {
            sample.labels.get("tool"): sample.value
            for family in monitor.registry.collect()
            for sample in family.samples
            if sample.name == "mcp_tool_duration_seconds_count"
        }

    return durations


class TestFunctions:
    def test_calls_are_counted_by_tool_and_outcome(self, monitor, calls, durations):
        server = high_level()
        assert monitor.watch(server) is server
        answers = use(server, ("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}), ("fail", {}), ("wait", {}))
        assert answers[:2] == ["3", "7"]
        assert calls(monitor) == {("add", "success"): 2, ("fail", "error"): 1, ("wait", "success"): 1}
        assert durations(monitor) == {"add": 2, "fail": 1, "wait": 1}

    def test_a_tool_that_does_not_exist_is_unknown(self, monitor, calls):
        server = monitor.watch(high_level())
        use(server, *[(f"made-up-{number}", {}) for number in range(20)])
        assert calls(monitor) == {("(unknown)", "error"): 20}

    def test_wrong_arguments_are_an_error_of_the_tool(self, monitor, calls):
        use(monitor.watch(high_level()), ("add", {"a": "x"}))
        assert calls(monitor) == {("add", "error"): 1}

    def test_tools_may_be_added_later(self, monitor, calls):
        server = monitor.watch(high_level())

        @server.tool()
        def late() -> str:
            return "here"

        assert use(server, ("late", {})) == ["here"]
        assert calls(monitor) == {("late", "success"): 1}

    def test_watching_twice_counts_once(self, monitor, calls):
        server = high_level()
        for _ in range(2):
            monitor.watch(server)
        use(server, ("add", {"a": 1, "b": 2}))
        assert calls(monitor) == {("add", "success"): 1}

    def test_the_duration_is_that_of_the_tool(self, monitor):
        use(monitor.watch(high_level()), ("wait", {}))
        [seconds] = [
            sample.value
            for family in monitor.registry.collect()
            for sample in family.samples
            if sample.name == "mcp_tool_duration_seconds_sum"
        ]
        assert 0.04 < seconds < 30

    def test_switched_off_it_is_not_touched(self, off):
        server = high_level()
        middleware = list(getattr(server, "middleware", ()))
        assert off.watch(server) is server
        assert list(getattr(server, "middleware", ())) == middleware
        assert use(server, ("add", {"a": 1, "b": 2})) == ["3"]


class TestHandlers:
    def test_calls_are_counted(self, monitor, calls):
        server = monitor.watch(low_level(echo))
        assert use(server, ("echo", {})) == ["echo"]
        assert calls(monitor) == {("echo", "success"): 1}

    def test_handlers_may_come_after_the_watching(self, monitor, calls):
        server = low_level(echo, before=monitor.watch)
        assert use(server, ("echo", {})) == ["echo"]
        assert calls(monitor) == {("echo", "success"): 1}

    def test_what_was_listed_is_a_tool_even_if_it_fails(self, monitor, calls):
        use(monitor.watch(low_level(echo)), None, ("fail", {}))
        assert calls(monitor) == {("fail", "error"): 1}

    def test_a_name_that_was_never_listed_and_never_worked_is_unknown(self, monitor, calls):
        use(monitor.watch(low_level(echo)), *[(f"made-up-{number}", {}) for number in range(10)])
        assert calls(monitor) == {("(unknown)", "error"): 10}

    def test_a_server_that_takes_any_name_has_a_bounded_number_of_tools(self, monitor, calls):
        steps = [(f"tool-{number}", {}) for number in range(MAX_TOOLS + 5)]
        names = [name for name, _ in steps]
        use(monitor.watch(low_level(echo, names)), *steps)
        found = calls(monitor)
        assert len(found) == MAX_TOOLS + 1
        assert found["(overflow)", "success"] == 5


def test_a_broken_measurement_leaves_the_tool_alone(monitor, calls, monkeypatch):
    monkeypatch.setattr("trackside.sdk.watch.mcp._is_error", lambda result: 1 / 0)
    monkeypatch.setattr("trackside.sdk.watch.mcp.Tools._learn", lambda self, name: 1 / 0)
    server = monitor.watch(high_level())
    names, answer = use(server, None, ("add", {"a": 1, "b": 2}))
    assert "add" in names
    assert answer == "3"
