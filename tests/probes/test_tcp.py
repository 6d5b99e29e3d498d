import asyncio
import socket

import pytest

from trackside.server.probes.result import Kind, Reason


async def echo(reader, writer):
    writer.write(b"SSH-2.0-Test\r\n")
    while data := await reader.read(1000):
        writer.write(data.upper())
        await writer.drain()


ANSWERS = [
    pytest.param({}, Reason.NONE, id="only connect"),
    pytest.param({"expect": r"^SSH-2\.0-"}, Reason.NONE, id="a banner"),
    pytest.param({"module": "ssh_banner"}, Reason.NONE, id="by module"),
    pytest.param({"send": "hello\r\n", "expect": "HELLO"}, Reason.NONE, id="an answer"),
    pytest.param({"expect": "^220 "}, Reason.TIMEOUT, id="another banner, and then nothing"),
]


@pytest.mark.parametrize(("keys", "reason"), ANSWERS)
def test_what_is_said_and_answered(keys, reason, serving, probed):
    async def scenario():
        async with serving(echo) as port:
            return await probed(url=f"tcp://127.0.0.1:{port}", **keys, **given)

    # Little for what never comes; of all else it is told before.
    given = {"timeout": "300ms"} if reason is Reason.TIMEOUT else {}
    result = asyncio.run(scenario())

    assert (result.kind, result.reason) == (Kind.TCP, reason)
    assert result.ip_version == 4


def test_an_answer_that_does_not_match_is_shown(serving, probed):
    async def refusing(reader, writer):
        writer.write(b"\x1b[2J530 go away\r\n")
        await writer.drain()

    async def scenario():
        async with serving(refusing) as port:
            return await probed(url=f"tcp://127.0.0.1:{port}", expect="^220 ")

    result = asyncio.run(scenario())

    assert (result.reason, result.by_regex) == (Reason.ANSWER, True)
    assert "530 go away" in result.error
    assert result.error.isprintable()


def test_a_flood_is_read_up_to_a_limit(serving, probed):
    async def flood(reader, writer):
        while True:
            writer.write(b"\xff" * 65_536)
            await writer.drain()

    async def scenario():
        async with serving(flood) as port:
            return await probed(url=f"tcp://127.0.0.1:{port}", expect="never")

    result = asyncio.run(scenario())

    assert result.reason is Reason.ANSWER
    assert result.duration_s < 20


def test_over_tls(serving, probed, authority):
    context, until_s = authority.server("localhost")

    async def scenario():
        async with serving(echo, tls=context) as port:
            keys = {"url": f"tcp://localhost:{port}", "ip": 4, "with_tls": True, "expect": "^SSH"}
            return await probed(tls={"ca_file": str(authority.file)}, **keys), await probed(**keys)

    trusted, unknown = asyncio.run(scenario())

    assert trusted.success, trusted.error
    assert trusted.tls.earliest_expiry_s == until_s
    assert (unknown.reason, unknown.tls.earliest_expiry_s) == (Reason.CERTIFICATE, until_s)


def test_ipv6_and_a_closed_port(serving, probed):
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", 0))
        closed = taken.getsockname()[1]

        async def scenario():
            async with serving(echo, host="::1") as port:
                return await probed(url=f"tcp://[::1]:{port}"), await probed(url=f"tcp://[::1]:{closed}")

        there, gone = asyncio.run(scenario())

    assert (there.success, there.ip_version) == (True, 6)
    assert gone.reason is Reason.REFUSED
