"""Connections to targets: kept, replaced, bounded."""

import asyncio
import ssl

import httpx
import pytest
import uvloop

from trackside.server.scrape.transport import KeepAliveTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n"


class Server:
    """Counts its connections; `answers` are sent one for each request, None closes instead."""

    def __init__(self, *answers):
        self.answers, self.connections, self.open = list(answers), 0, set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/metrics"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _talk(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        try:
            while await reader.read(65_536):
                answer = self.answers.pop(0) if self.answers else OK
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
                if answer.startswith(b"HTTP/1.1 200 OK\r\n\r\n"):
                    break
        except OSError:
            pass
        finally:
            self.open.discard(writer)
            writer.close()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda function: runner.run(function())


def client(**limits):
    return httpx.AsyncClient(transport=KeepAliveTransport(ssl.create_default_context(), **limits), trust_env=False)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0.001)


def test_one_connection_serves_all_requests(run):
    async def test():
        async with Server() as server, client() as asking:
            for _ in range(5):
                assert (await asking.get(server.url)).content == b"a 1\n"
            assert server.connections == 1

    run(test)


def test_a_connection_that_was_closed_while_it_waited_is_replaced_unnoticed(run):
    async def test():
        async with Server(OK, None) as server, client() as asking:
            assert (await asking.get(server.url)).content == b"a 1\n"
            assert (await asking.get(server.url)).content == b"a 1\n"
            assert server.connections == 2

    run(test)


def test_a_server_that_closes_at_once_is_asked_once(run):
    async def test():
        async with Server(None, None, None) as server, client() as asking:
            with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
                await asking.get(server.url)
            assert server.connections == 1

    run(test)


@pytest.mark.parametrize(
    ("answer", "content", "connections"),
    [
        pytest.param(OK, b"a 1\n", 1, id="a length"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\na 1\n", b"a 1\n", 2, id="until the connection closes"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab", b"ab", 2, id="asked to close"
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab", 2, id="the old protocol"),
        pytest.param(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + OK, b"a 1\n", 1, id="an interim answer before"),
        pytest.param(OK + OK, b"a 1\n", 2, id="two answers to one request"),
        pytest.param(OK + b"garbage", b"a 1\n", 2, id="garbage behind the answer"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", 1, id="no content"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Trailer: y\r\n\r\n",
            b"ab",
            1,
            id="trailers",
        ),
    ],
)
def test_the_end_of_an_answer_is_found_and_never_mixed_with_the_next(run, answer, content, connections):
    async def test():
        async with Server(answer) as server, client() as asking:
            first = await asking.get(server.url)
            assert first.content == content
            assert "x-trailer" not in first.headers
            assert (await asking.get(server.url)).content == b"a 1\n"
            assert server.connections == connections

    run(test)


def test_an_answer_that_is_not_read_to_its_end_ends_its_connection(run):
    async def test():
        endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"a" * 100_000
        async with Server(endless) as server, client() as asking:
            async with asking.stream("GET", server.url) as response:
                async for _ in response.aiter_raw():
                    break
            assert (await asking.get(server.url)).content == b"a 1\n"
            assert server.connections == 2

    run(test)


def test_a_header_with_a_line_end_is_not_sent(run):
    async def test():
        async with Server() as server, client() as asking:
            with pytest.raises(httpx.LocalProtocolError, match="line end"):
                await asking.get(server.url, headers={"Authorization": "Bearer a\r\nX-Other: b"})

    run(test)


def test_two_at_once_have_a_connection_each_and_leave_one(run):
    async def test():
        async with Server() as server, client() as asking:
            answers = await asyncio.gather(*(asking.get(server.url) for _ in range(2)))
            assert [answer.content for answer in answers] == [b"a 1\n"] * 2
            await settle()
            assert len(server.open) == 1

    run(test)


def test_no_more_wait_than_may(run):
    async def test():
        async with Server() as one, Server() as two, Server() as three, client(max_idle=2) as asking:
            for server in (one, two, three):
                await asking.get(server.url)
            await settle()
            assert [len(server.open) for server in (one, two, three)] == [0, 1, 1]

    run(test)


def test_what_waits_too_long_is_closed(run):
    async def test():
        async with Server() as server, client(idle_s=0.005) as asking:
            await asking.get(server.url)
            await settle()
            assert len(server.open) == 0
            assert (await asking.get(server.url)).content == b"a 1\n"

    run(test)


def test_closing_the_client_closes_what_waits(run):
    async def test():
        async with Server() as server:
            async with client() as asking:
                await asking.get(server.url)
            await settle()
            assert len(server.open) == 0

    run(test)


def test_a_second_address_is_tried(run):
    async def test():
        async with Server() as server, client() as asking:
            # The name has an IPv6 address on most machines, where nobody listens.
            assert (await asking.get(server.url.replace("127.0.0.1", "localhost"))).content == b"a 1\n"

    run(test)
