"""Connections to servers: kept, replaced, bounded."""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvloop

from trackside.server.http.transport import KeepAliveTransport

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
    return httpx.AsyncClient(
        transport=KeepAliveTransport(ssl.create_default_context(), **limits), trust_env=False, timeout=60
    )


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


def test_several_wait_where_several_may(run):
    async def test():
        async with Server() as server, client(each=2) as asking:
            for _ in range(2):
                await asyncio.gather(*(asking.get(server.url) for _ in range(3)))
                await settle()
                assert len(server.open) == 2
            assert server.connections == 4

    run(test)


def test_what_is_sent_arrives_on_the_connection_that_was_kept(run):
    taken = []

    async def echo(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            taken.append((head.split(b" ")[0], await reader.readexactly(length)))
            writer.write(b"HTTP/1.1 202 Taken\r\nContent-Length: 0\r\n\r\n")

    async def test():
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with client() as asking:
            for body in (b"one", b"t" * 1_000_000):
                answer = await asking.post(url, content=body)
                assert (answer.status_code, answer.reason_phrase) == (202, "Taken")
        server.close()

    run(test)
    assert taken == [(b"POST", b"one"), (b"POST", b"t" * 1_000_000)]


def test_a_message_that_may_have_been_taken_is_not_sent_again_unasked(run):
    async def test():
        async with Server(OK, None, OK) as server, client() as asking:
            await asking.post(server.url, content=b"a")
            with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
                await asking.post(server.url, content=b"b")
            assert server.connections == 1
            assert (await asking.post(server.url, content=b"c")).content == b"a 1\n"
            assert server.connections == 2

    run(test)


def test_a_connection_that_was_just_closed_is_not_used_though_the_loop_has_not_heard_of_it(run):
    async def test():
        closing = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def answer_and_close():
            taken, _ = listener.accept()
            taken.recv(65_536)
            taken.sendall(closing)
            taken.close()

        with ThreadPoolExecutor(1) as pool:
            async with client() as asking:
                for _ in range(3):
                    serving = pool.submit(answer_and_close)
                    assert (await asking.post(url, content=b"a")).is_success
                    # The loop does not turn while it waits for this.
                    serving.result()
        listener.close()

    run(test)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"", httpx.ReadTimeout, id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", httpx.ReadTimeout, id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", httpx.ReadTimeout, id="half a body"),
    ],
)
def test_a_server_that_falls_silent_is_given_up(run, answer, error):
    async def silent(reader, writer):
        await reader.read(65_536)
        writer.write(answer)
        await reader.read()
        writer.close()

    async def test():
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with client() as asking:
            with pytest.raises(error):
                await asking.get(url, timeout=httpx.Timeout(60, read=0.05))
        server.close()

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


def test_without_a_context_nothing_is_said_in_the_clear_that_wants_tls(run):
    async def story():
        async with (
            Server() as server,
            httpx.AsyncClient(transport=KeepAliveTransport(None), trust_env=False) as asking,
        ):
            assert (await asking.get(server.url)).is_success
            with pytest.raises(httpx.UnsupportedProtocol):
                await asking.get(server.url.replace("http:", "https:"))
            assert server.connections == 1

    run(story)
