"""Asking real sockets, most of which behave badly."""

import asyncio
import gzip
import ssl
import subprocess
import zlib
from contextlib import asynccontextmanager

import httpx
import pytest
import uvloop

from trackside.server.scrape.http_config import HttpClientConfig
from trackside.server.scrape.protocols import ScrapeError
from trackside.server.scrape.sources import HttpSource, InProcessSource, Request, fetch, http_client

LIMIT = 1 << 20
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


@pytest.fixture(params=sorted(LOOPS), autouse=True)
def loop_factory(request):
    """The server runs on uvloop where there is one, and must on the other."""
    run_on_loop.factory = LOOPS[request.param]


def run_on_loop(coroutine):
    with asyncio.Runner(loop_factory=run_on_loop.factory) as runner:
        return runner.run(coroutine)


@asynccontextmanager
async def serving(answer, context=None):
    """A server that calls `answer(head, writer)` for each request; its port."""

    async def talk(reader, writer):
        try:
            await answer(await reader.read(65_536), writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def ask(answer, *, config=None, timeout_s=60.0, context=None, scheme="http", **request):
    async def run():
        settings = HttpClientConfig.model_validate(config or {})
        async with serving(answer, context) as port, http_client(settings) as client:
            url = f"{scheme}://localhost:{port}/metrics" if context else f"{scheme}://127.0.0.1:{port}/metrics"
            given = Request(url, timeout_s, settings, size_limit=LIMIT, **request)
            return await HttpSource(client, given).pull(0)

    return run_on_loop(run())


def says(*parts):
    async def answer(head, writer):
        for part in parts:
            writer.write(part)
        await writer.drain()

    return answer


def body(content, more=b""):
    return says(HEAD + more + b"Content-Length: %d\r\n\r\n" % len(content) + content)


def test_a_page_is_read():
    page = ask(body(b"a 1\n"))
    assert (page.body, page.content_type) == (b"a 1\n", "text/plain; version=0.0.4")


def test_a_packed_page_is_unpacked():
    packed = gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n")
    assert ask(body(packed, b"Content-Encoding: gzip\r\n")).body == b"a 1\nb 2\n"


def test_a_chunked_page_is_joined():
    assert (
        ask(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n4\r\nb 2\n\r\n0\r\n\r\n")).body
        == b"a 1\nb 2\n"
    )


async def endless(head, writer):
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"a 1\n" * 10_000)
        await writer.drain()


async def dripping(head, writer):
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silent(head, writer):
    await asyncio.sleep(100)


def redirecting(head, writer):
    answer = b"HTTP/1.1 302 Found\r\nLocation: /metrics\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    return says(answer)(head, writer)


def bomb():
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b"\0" * LIMIT) for _ in range(100)) + packer.flush()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(endless, "longer than body_size_limit = 1,048,576 bytes", id="never ends"),
        pytest.param(body(b"a" * (LIMIT + 1)), "longer than body_size_limit", id="one byte too long"),
        pytest.param(body(bomb(), b"Content-Encoding: gzip\r\n"), "longer than body_size_limit", id="a gzip bomb"),
        pytest.param(dripping, "no complete answer within the timeout of 0.3 s", id="drips"),
        pytest.param(silent, "no complete answer within the timeout", id="says nothing"),
        pytest.param(redirecting, "more than 10 redirects", id="redirects for ever"),
        pytest.param(body(b"no gzip", b"Content-Encoding: gzip\r\n"), "cannot be unpacked", id="not packed at all"),
        pytest.param(
            body(gzip.compress(b"a 1\n" * 99)[:-12], b"Content-Encoding: gzip\r\n"), "was cut off", id="half a gzip"
        ),
        pytest.param(body(b"x", b"Content-Encoding: br\r\n"), "packed as 'br'", id="packed in another way"),
        pytest.param(says(HEAD + b"Content-Length: 100\r\n\r\na 1\n"), "cut off", id="shorter than it says"),
        pytest.param(says(b"\x16\x03\x01 garbage\r\n\r\n"), "not HTTP", id="garbage"),
        pytest.param(says(), "not HTTP, or was cut off", id="closes at once"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "not HTTP", id="headers without an end"),
        pytest.param(
            says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), "answered HTTP 500", id="500"
        ),
        pytest.param(says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "refused access", id="401"),
        pytest.param(says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "check metrics_path", id="404"),
    ],
)
def test_a_bad_answer_is_refused_in_a_sentence(answer, reason):
    with pytest.raises(ScrapeError) as caught:
        ask(answer, timeout_s=0.3 if answer in (dripping, silent) else 60.0)
    assert reason in str(caught.value)


def test_a_redirect_that_is_not_followed_says_where_it_leads():
    with pytest.raises(ScrapeError, match="302 Found to /metrics, not followed"):
        ask(redirecting, config={"follow_redirects": False})


def test_a_port_where_nobody_listens(unused_port=1):
    async def run():
        async with http_client(HttpClientConfig()) as client:
            await fetch(client, Request(f"http://127.0.0.1:{unused_port}/", 60.0, HttpClientConfig()))

    with pytest.raises(ScrapeError, match="connection refused: nothing listens on that port"):
        run_on_loop(run())


def test_an_address_that_is_none():
    async def run():
        async with http_client(HttpClientConfig()) as client:
            await fetch(client, Request("http://a b:x/", 60.0, HttpClientConfig()))

    with pytest.raises(ScrapeError):
        run_on_loop(run())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


@pytest.mark.parametrize("how", ["trusted", "unchecked"])
def test_tls_with_a_known_authority_or_without_a_check(certificate, how):
    context, cert = certificate
    tls = {"ca_file": cert} if how == "trusted" else {"insecure_skip_verify": True}
    assert ask(body(b"a 1\n"), context=context, scheme="https", config={"tls_config": tls}).body == b"a 1\n"


def test_a_certificate_that_nobody_vouches_for(certificate):
    with pytest.raises(ScrapeError, match=r"not trusted .*set tls_config\.ca_file"):
        ask(body(b"a 1\n"), context=certificate[0], scheme="https")


def test_tls_where_there_is_none():
    with pytest.raises(ScrapeError, match="no TLS with the target"):
        ask(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), scheme="https")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, None, id="nobody"),
        pytest.param({"basic_auth": {"username": "me", "password": "pw"}}, "Basic bWU6cHc=", id="basic"),
        pytest.param({"basic_auth": {"username": "me", "password_file": "FILE"}}, "Basic bWU6c2VjcmV0", id="a file"),
        pytest.param({"authorization": {"credentials": "abc"}}, "Bearer abc", id="bearer"),
        pytest.param({"authorization": {"type": "Key", "credentials_file": "FILE"}}, "Key secret", id="another type"),
        pytest.param({"bearer_token": "abc"}, "Bearer abc", id="the old way"),
        pytest.param({"bearer_token_file": "FILE"}, "Bearer secret", id="the old way with a file"),
    ],
)
def test_credentials(config, expected, tmp_path):
    file = tmp_path / "secret"
    file.write_text("secret\n")
    filled = {
        key: {k: str(file) if v == "FILE" else v for k, v in value.items()}
        if isinstance(value, dict)
        else (str(file) if value == "FILE" else value)
        for key, value in config.items()
    }
    assert headers_sent(filled).get("authorization") == expected


def test_a_missing_credentials_file_is_named(tmp_path):
    with pytest.raises(ScrapeError, match=r"a file with credentials cannot be read.*nothing-here"):
        headers_sent({"bearer_token_file": str(tmp_path / "nothing-here")})


def test_further_headers_are_sent_and_cookies_are_not():
    config = {"http_headers": {"X-Scope-OrgID": {"values": ["a"], "secrets": ["b"]}}}
    sent = headers_sent(config, times=2)
    assert sent["x-scope-orgid"] == "a, b"
    assert "cookie" not in sent
    assert sent["accept-encoding"] == "gzip"


def headers_sent(config, times=1):
    seen = []

    async def answer(head, writer):
        seen.append(head.decode())
        await body(b"a 1\n", b"Set-Cookie: a=b\r\nConnection: close\r\n")(head, writer)

    async def run():
        settings = HttpClientConfig.model_validate(config)
        async with serving(answer) as port, http_client(settings) as client:
            for _ in range(times):
                await fetch(client, Request(f"http://127.0.0.1:{port}/", 60.0, settings))

    run_on_loop(run())
    lines = (line.partition(": ") for line in seen[-1].split("\r\n")[1:] if line)
    return {name.lower(): value for name, _, value in lines}


def test_a_transport_without_sockets():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"a 1\n"))

    async def run():
        async with httpx.AsyncClient(transport=transport) as client:
            return await fetch(client, Request("http://a/metrics", 60.0, HttpClientConfig(), size_limit=LIMIT))

    assert run_on_loop(run()).body == b"a 1\n"


def test_our_own_process_is_a_source():
    assert run_on_loop(InProcessSource(lambda: b"a 1\n").pull(0)).body == b"a 1\n"
