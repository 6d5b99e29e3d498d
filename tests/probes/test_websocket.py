import asyncio
from base64 import b64encode
from hashlib import sha1

import pytest
import websockets.asyncio.server as websockets

from trackside.server.probes.result import Kind, Reason


async def echo(connection):
    async for message in connection:
        await connection.send(f"echo: {message}")


def serve(handler, tls=None, **keys):
    return websockets.serve(handler, "127.0.0.1", 0, ssl=tls, **keys)


def port_of(server):
    return next(iter(server.sockets)).getsockname()[1]


ASKED = [
    pytest.param({}, Reason.NONE, id="handshake and ping"),
    pytest.param({"ping": False}, Reason.NONE, id="only the handshake"),
    pytest.param({"send": "hello", "expect": "^echo: hello$"}, Reason.NONE, id="a message and its answer"),
    pytest.param({"send": "x" * 70_000, "expect": "^echo: x{1000}"}, Reason.NONE, id="a long message"),
    pytest.param({"subprotocols": ["chat"]}, Reason.NONE, id="a subprotocol"),
    pytest.param({"subprotocols": ["other"]}, Reason.STATUS, id="none that the server has"),
    pytest.param({"send": "hello", "expect": "never", "timeout": "300ms"}, Reason.TIMEOUT, id="another answer"),
    pytest.param({"expect_header": {"Server": "^Python"}}, Reason.NONE, id="a header"),
    pytest.param({"expect_header": {"Server": "^nginx"}}, Reason.HEADER, id="another header"),
]


@pytest.mark.parametrize(("keys", "reason"), ASKED)
def test_against_a_real_server(keys, reason, probed):
    async def scenario():
        protocols = ["chat"] if "subprotocols" in keys else None
        async with serve(echo, subprotocols=protocols) as server:
            return await probed(url=f"ws://127.0.0.1:{port_of(server)}/ws", **keys)

    result = asyncio.run(scenario())

    assert (result.kind, result.reason) == (Kind.WEBSOCKET, reason), result.error
    if reason is Reason.NONE:
        assert result.http.status == 101
        assert set(result.phases_s) == {"resolve", "connect", "processing", "transfer"}


def test_over_tls(probed, authority):
    context, until_s = authority.server("localhost")

    async def scenario():
        async with serve(echo, context) as server:
            url = f"wss://localhost:{port_of(server)}/"
            return await probed(url=url, ip=4, tls={"ca_file": str(authority.file)})

    result = asyncio.run(scenario())

    assert result.success, result.error
    assert result.tls.earliest_expiry_s == until_s
    assert result.http.over_tls


def test_an_answer_in_pieces_among_pings_is_put_together(serving, probed):
    frames = b"\x89\x02hi" + b"\x01\x03hel" + b"\x8a\x01x" + b"\x80\x02lo"

    async def scenario():
        async with serving(accepting(frames)) as port:
            return await probed(url=f"ws://127.0.0.1:{port}/", ping=False, expect="^hello$")

    assert asyncio.run(scenario()).success


def accepting(frames, accept=None):
    """Shakes hands, then says `frames` and is silent."""

    async def handler(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
        answer = accept or b64encode(sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        head = b"HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
        writer.write(head % answer + frames)
        await writer.drain()
        await asyncio.sleep(60)

    return handler


HOSTILE = [
    pytest.param(b"\x8f\x00", Reason.PROTOCOL, "unknown kind", id="an unknown kind"),
    pytest.param(b"\xc1\x00", Reason.PROTOCOL, "extension", id="an extension"),
    pytest.param(b"\x81\x80abcd", Reason.PROTOCOL, "masks", id="masked"),
    pytest.param(b"\x89\x7e\x01\x00", Reason.PROTOCOL, "control frame", id="a long control frame"),
    pytest.param(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", Reason.PROTOCOL, "at most", id="a frame of 2^64 bytes"),
    pytest.param(b"\x01\x7f" + (1 << 20).to_bytes(8, "big") + b"x" * (1 << 20), Reason.TIMEOUT, "", id="in pieces"),
    pytest.param(b"\x81\x01x" * 1_000, Reason.PROTOCOL, "no pong", id="chatter instead of a pong"),
    pytest.param(b"\x89\x00" * 1_000, Reason.PROTOCOL, "no pong", id="pings instead of a pong"),
    pytest.param(b"\x88\x05\x03\xf3bye", Reason.CLOSED, "code 1011 bye", id="closed"),
    pytest.param(b"\x88\x00", Reason.CLOSED, "code 1005", id="closed without a code"),
    pytest.param(b"\x88\x04\x03\xf3\xff\xfe", Reason.CLOSED, "1011", id="closed with odd bytes"),
    pytest.param(b"", Reason.TIMEOUT, "transfer", id="silence"),
]


@pytest.mark.parametrize(("frames", "reason", "text"), HOSTILE)
def test_frames_that_are_none_fail_with_a_reason(frames, reason, text, serving, probed):
    async def scenario():
        async with serving(accepting(frames)) as port:
            return await probed(url=f"ws://127.0.0.1:{port}/", expect="x", **given)

    # Little for what never comes; of all else it is told before.
    given = {"timeout": "500ms"} if reason is Reason.TIMEOUT else {}
    result = asyncio.run(scenario())
    if reason is Reason.TIMEOUT and text not in result.error:
        # A busy machine used it up before.
        result = asyncio.run(scenario())

    assert result.reason is reason, result.error
    assert text in result.error
    assert result.error.isprintable()


NO_HANDSHAKE = [
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reason.STATUS, id="a page"),
    pytest.param(b"HTTP/1.1 403 Forbidden\r\n\r\n", Reason.STATUS, id="refused"),
    pytest.param(b"HTTP/1.1 101 X\r\n\r\n", Reason.PROTOCOL, id="no upgrade"),
    pytest.param(b"HTTP/1.1 \r\n\r\n", Reason.PROTOCOL, id="no status"),
    pytest.param(b"garbage\r\n\r\n", Reason.PROTOCOL, id="garbage"),
    pytest.param(b"HTTP/1.1 101 X\r\n" + b"a" * 300_000, Reason.PROTOCOL, id="a head without end"),
    pytest.param(b"", Reason.CLOSED, id="nothing"),
    pytest.param(b"HTTP/1.1 10", Reason.PROTOCOL, id="cut off"),
]


@pytest.mark.parametrize(("answer", "reason"), NO_HANDSHAKE)
def test_what_is_no_websocket_fails_with_a_reason(answer, reason, answering, probed):
    async def scenario():
        async with answering(answer) as (port, _):
            return await probed(url=f"ws://127.0.0.1:{port}/")

    assert asyncio.run(scenario()).reason is reason


def test_an_answer_to_another_question_is_not_taken(serving, probed):
    async def scenario():
        async with serving(accepting(b"", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) as port:
            return await probed(url=f"ws://127.0.0.1:{port}/")

    assert asyncio.run(scenario()).reason is Reason.PROTOCOL
